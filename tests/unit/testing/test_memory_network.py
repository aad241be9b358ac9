"""Network: what arrives, when, and who hears that nothing will come any more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.cluster.addresses import Address
from realign_daemon.testing.memory_network import DIAL_S, Host, Network
from realign_daemon.testing.memory_socket import CLOSED, SILENT, Conditions, Socket
from realign_daemon.testing.virtual_loop import VirtualLoop, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PORT = 7411
SLOW = Conditions(latency_s=0.05, jitter_s=0.0, bytes_per_s=1000.0)


@dataclass(eq=False)
class End:
    """What one end of a connection heard, and when."""

    network: Network
    socket: Socket
    heard: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    broke: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])

    def __post_init__(self) -> None:
        self.socket.holder = self

    def broken(self, reason: str) -> None:
        self.broke.append((self.network.loop.time(), reason))

    def hear(self, number: int) -> None:
        self.heard.append((self.network.loop.time(), number))

    def say(self, number: int, size: int = 100) -> None:
        self.socket.send(size, cast("End", self.socket.other.holder).hear, number)

    @property
    def numbers(self) -> list[int]:
        return [number for _, number in self.heard]


@dataclass
class Pair:
    """Two hosts with a process each and a connection between them."""

    network: Network
    near: Host
    far: Host
    ends: list[End] = field(default_factory=list[End])

    @property
    def dialler(self) -> End:
        return self.ends[0]

    @property
    def listener(self) -> End:
        return self.ends[1]


def outcome(scenario: Callable[[Pair], Awaitable[Any]], seed: int = 0, conditions: Conditions | None = None) -> Any:
    async def main(loop: VirtualLoop) -> Any:
        network = Network(loop, conditions)
        pair = Pair(network, network.host("near"), network.host("far"))
        pair.near.boot()
        pair.far.boot()
        accepted: list[End] = []
        pair.far.listen(PORT, lambda socket: accepted.append(End(network, socket)))
        dialled = await dial(pair)
        assert isinstance(dialled, Socket)
        pair.ends = [cast("End", dialled.holder), accepted[0]]
        return await scenario(pair)

    return run(main, seed)[0]


async def dial(pair: Pair, port: int = PORT) -> Socket | str:
    future: asyncio.Future[Socket | str] = asyncio.get_running_loop().create_future()
    pair.network.dial(pair.near, Address(host=pair.far.ip, port=port), future.set_result)
    outcome = await future
    if isinstance(outcome, Socket):
        End(pair.network, outcome)
    return outcome


def test_bytes_take_the_latency_and_the_time_of_their_bandwidth() -> None:
    async def scenario(pair: Pair) -> tuple[float, list[tuple[float, int]]]:
        began_s = pair.network.loop.time()
        pair.dialler.say(1, size=1000)
        await asyncio.sleep(10)
        return began_s, pair.listener.heard

    began_s, heard = outcome(scenario, conditions=SLOW)

    assert heard == [(pytest.approx(began_s + 1.05), 1)]


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.5]), st.integers(0, 30))
def test_everything_arrives_once_and_in_order_however_many_packets_are_lost(seed: int, loss: float, count: int) -> None:
    async def scenario(pair: Pair) -> list[int]:
        pair.network.change(pair.near, pair.far, Conditions(loss_fraction=loss, jitter_s=0.01))
        for number in range(count):
            pair.dialler.say(number)
        await asyncio.sleep(600)
        return pair.listener.numbers

    assert outcome(scenario, seed) == list(range(count))


def test_a_lost_packet_comes_after_a_retransmission() -> None:
    async def scenario(pair: Pair) -> float:
        pair.network.change(pair.near, pair.far, Conditions(loss_fraction=0.3))
        for number in range(30):
            pair.dialler.say(number)
        await asyncio.sleep(600)
        return pair.listener.heard[-1][0]

    assert outcome(scenario) > 0.2


@given(st.integers(0, 2**32))
def test_a_one_way_cut_holds_one_way_up_until_it_heals(seed: int) -> None:
    async def scenario(pair: Pair) -> list[list[int]]:
        pair.dialler.say(0)
        await asyncio.sleep(1)
        pair.network.cut(pair.near, pair.far)
        pair.dialler.say(1)
        pair.listener.say(2)
        await asyncio.sleep(1)
        during = [pair.listener.numbers[:], pair.dialler.numbers[:]]
        pair.network.heal()
        pair.dialler.say(3)
        await asyncio.sleep(10)
        return [*during, pair.listener.numbers]

    assert outcome(scenario, seed) == [[0], [2], [0, 1, 3]]


@given(st.integers(0, 2**32))
def test_a_cut_that_lasts_is_noticed_by_each_end_after_its_keepalive(seed: int) -> None:
    async def scenario(pair: Pair) -> list[tuple[float, str]]:
        cut_at_s = pair.network.loop.time()
        pair.network.cut(pair.far, pair.near)
        pair.network.cut(pair.near, pair.far)
        await asyncio.sleep(60)
        return [(at_s - cut_at_s, reason) for end in pair.ends for at_s, reason in end.broke]

    (dialler_s, dialler_reason), (listener_s, listener_reason) = outcome(scenario, seed)

    assert 2 <= dialler_s <= 4
    assert 10 <= listener_s <= 15
    assert (dialler_reason, listener_reason) == (SILENT, SILENT)


def test_an_end_that_gave_up_tells_the_other_once_it_can() -> None:
    async def scenario(pair: Pair) -> list[str]:
        pair.network.cut(pair.near, pair.far)
        await asyncio.sleep(5)
        pair.network.heal()
        await asyncio.sleep(4)
        return [reason for end in pair.ends for _, reason in end.broke]

    assert outcome(scenario) == [SILENT, CLOSED]


def test_a_crash_is_heard_at_once_and_a_lost_power_supply_is_not() -> None:
    async def crash(pair: Pair) -> list[tuple[float, str]]:
        pair.listener.say(1)
        pair.far.crash()
        await asyncio.sleep(1)
        assert pair.dialler.numbers == [1]  # it was sent
        return pair.dialler.broke

    async def lose_power(pair: Pair) -> list[tuple[float, str]]:
        pair.far.lose_power()
        await asyncio.sleep(5)
        return pair.dialler.broke

    ((crash_s, crash_reason),) = outcome(crash)
    ((power_s, power_reason),) = outcome(lose_power)

    assert (crash_s < 0.1, crash_reason) == (True, CLOSED)
    assert (power_s > 2, power_reason) == (True, SILENT)


def test_a_frozen_process_reads_nothing_and_later_everything() -> None:
    async def scenario(pair: Pair) -> tuple[list[int], list[int]]:
        pair.far.freeze()
        for number in range(5):
            pair.dialler.say(number)
        await asyncio.sleep(1)
        during = pair.listener.numbers[:]
        pair.far.resume()
        await asyncio.sleep(1)
        return during, pair.listener.numbers

    assert outcome(scenario) == ([], [0, 1, 2, 3, 4])


def test_a_frozen_process_is_given_up_and_learns_of_it_afterwards() -> None:
    async def scenario(pair: Pair) -> list[int]:
        pair.far.freeze()
        await asyncio.sleep(5)
        counts = [len(end.broke) for end in pair.ends]
        pair.far.resume()
        await asyncio.sleep(1)
        return [*counts, *(len(end.broke) for end in pair.ends)]

    assert outcome(scenario) == [1, 0, 1, 1]


def test_a_dial_is_answered_refused_or_times_out() -> None:
    async def scenario(pair: Pair) -> list[str | type]:
        said: list[str | type] = [type(await dial(pair))]
        said.append(str(await dial(pair, port=1)))
        pair.far.freeze()
        said.append(str(await dial(pair)))
        pair.far.resume()
        pair.far.crash()
        said.append(str(await dial(pair)))
        pair.far.boot()
        pair.far.listen(PORT, partial(End, pair.network))
        said.append(type(await dial(pair)))
        pair.network.isolate(pair.near)
        began_s = pair.network.loop.time()
        said.append(str(await dial(pair)))
        assert pair.network.loop.time() - began_s == pytest.approx(DIAL_S)
        return said

    refused = "Failed to connect to remote host: Connection refused"
    timed_out = "Failed to connect to remote host: Timeout occurred"
    assert outcome(scenario) == [Socket, refused, timed_out, refused, Socket, timed_out]


def test_an_isolated_pair_still_talks_to_each_other() -> None:
    async def scenario(pair: Pair) -> list[int]:
        pair.network.host("outside").boot()
        pair.network.isolate(pair.near, pair.far)
        pair.dialler.say(1)
        await asyncio.sleep(30)
        return pair.listener.numbers

    assert outcome(scenario) == [1]
