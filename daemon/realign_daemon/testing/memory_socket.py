"""Socket: one end of a connection between two hosts of the simulation."""

from __future__ import annotations

import zlib
from asyncio import TimerHandle
from collections import deque
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Protocol

from realign_daemon.cluster.addresses import Address
from realign_daemon.testing.virtual_loop import VirtualLoop
from realign_daemon.testing.virtual_process import VirtualProcess

PACKET_BYTES = 1448  # of data in an Ethernet frame
SUMMED_BYTES = 4096  # of a message, for the trace: a longer one is a file, and that is named by its hash
RETRANSMIT_S = 0.2  # the least wait before a packet is sent again (Linux's TCP_RTO_MIN); it doubles
RETRANSMIT_MAX_S = 3.2  # TCP waits up to 120 s, but by then gRPC's keepalive has given the connection up

CLOSED = "Socket closed"
SILENT = "ping timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What packets meet on one way. The default is a quiet Ethernet of 1 Gbit/s."""

    latency_s: float = 0.000_2
    jitter_s: float = 0.000_1  # the mean of what comes on top
    loss_fraction: float = 0.0
    bytes_per_s: float = 117e6
    is_cut: bool = False


class Way:
    """One way of a connection. What is sent arrives in order, or not at all once the receiver has closed."""

    def __init__(self, loop: VirtualLoop, name: str, conditions: Callable[[], Conditions], receiver: Context) -> None:
        self.is_closed = False
        self._loop = loop
        self._name = name
        self._conditions = conditions
        self._receiver = receiver
        self._travelling = deque[tuple[int, Callable[..., None], tuple[Any, ...]]]()
        self._stalled = deque[int]()  # sizes of the last of those, which wait for the end of a cut
        self._arrives_s = 0.0

    @property
    def is_cut(self) -> bool:
        """Whether nothing gets through at present."""
        return self._conditions().is_cut

    @property
    def is_busy(self) -> bool:
        """Whether something that was sent may still arrive."""
        return bool(self._travelling) and not self.is_closed

    def send(self, size: int, deliver: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - deliver's own
        """Calls deliver at the receiver once so many bytes have got there."""
        if self.is_closed:
            return
        self._travelling.append((size, deliver, args))
        conditions = self._conditions()
        if conditions.is_cut:
            self._stalled.append(size)
        else:
            self._schedule(size, conditions)

    def review(self) -> None:
        """After a cut, sends again what waits, once the timer for that has run out."""
        conditions = self._conditions()
        if self._stalled and not conditions.is_cut:
            wait_s = self._loop.chance.random() * RETRANSMIT_MAX_S
            self._arrives_s = max(self._arrives_s, self._loop.time() + wait_s)
            while self._stalled:
                self._schedule(self._stalled.popleft(), conditions)

    def _schedule(self, size: int, conditions: Conditions) -> None:
        chance = self._loop.chance
        delay_s = conditions.latency_s + size / conditions.bytes_per_s + chance.expovariate(1.0) * conditions.jitter_s
        if conditions.loss_fraction:
            for _ in range(1 + size // PACKET_BYTES):
                wait_s = RETRANSMIT_S
                while chance.random() < conditions.loss_fraction:
                    delay_s += wait_s
                    wait_s = min(wait_s * 2, RETRANSMIT_MAX_S)
        self._arrives_s = max(self._arrives_s, self._loop.time() + delay_s)
        self._loop.call_at(self._arrives_s, self._arrive, context=self._receiver)

    def _arrive(self) -> None:
        """Delivers what was sent first: of several that arrive at one moment, the loop may call any first."""
        if not self.is_closed:
            size, deliver, args = self._travelling.popleft()
            sums = [zlib.crc32(data[:SUMMED_BYTES]) for data in args if isinstance(data, bytes)]
            self._loop.note(f"{self._name} {deliver.__name__} {size} {sums}")
            deliver(*args)


class Holder(Protocol):
    """Whoever uses an end."""

    def broken(self, reason: str) -> None:
        """Nothing will come out of this end any more."""
        ...


class Socket:
    """An end, held by a process."""

    holder: Holder
    other: Socket

    def __init__(
        self,
        loop: VirtualLoop,
        process: VirtualProcess,
        *,
        peer: Address,
        out: Way,
        into: Way,
        keepalive_s: tuple[float, float],
    ) -> None:
        """`keepalive_s`: the least and the most time that passes until a ping is missed."""
        self.process = process
        self.peer = peer
        self.is_open = True
        self._loop = loop
        self._out = out
        self._into = into
        self._keepalive_s = keepalive_s
        self._patience: TimerHandle | None = None  # runs while no ping would be answered

    @property
    def is_busy(self) -> bool:
        """Whether something that was sent has not arrived yet."""
        return self._out.is_busy

    def send(self, size: int, deliver: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - deliver's own
        """Calls deliver at the other end once so many bytes have got there."""
        if self.is_open:
            self._out.send(size, deliver, *args)

    def close(self) -> None:
        """What was sent still arrives, and after it the news that this end closed. The holder is not told."""
        self.send(0, self.other.hear_of_close)
        self.drop()

    def drop(self) -> None:
        """Takes nothing in any more."""
        self.is_open = False
        self._into.is_closed = True
        self._stop_waiting()

    def vanish(self) -> None:
        """As drop, and what has not arrived yet never will."""
        self._out.is_closed = True
        self.drop()

    def hear_of_close(self) -> None:
        """The other end closed."""
        if self.is_open:
            self.drop()
            self.holder.broken(CLOSED)

    def review(self) -> None:
        """Something changed in the network: a ping may now go unanswered, or be answered again."""
        self._out.review()
        if not self.is_open:
            return
        if self.other.process.is_running and not self._out.is_cut and not self._into.is_cut:
            self._stop_waiting()
        elif self._patience is None:
            wait_s = self._loop.chance.uniform(*self._keepalive_s)
            self._patience = self._loop.call_later(wait_s, self._lose_patience, context=self.process.context)

    def _lose_patience(self) -> None:
        self._patience = None
        self.close()
        self.holder.broken(SILENT)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
