"""Member: serves a rank of this node for the head of a group, for as long as the head's connection lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial

import structlog

from realign_daemon.clock import Clock
from realign_daemon.groups.addresses import port_facing
from realign_daemon.groups.berth import Berth, Place, RankRefused
from realign_daemon.groups.messages import (
    Command,
    Ended,
    Event,
    Gathered,
    Prepare,
    Prepared,
    Start,
    Started,
    Stop,
    Wanted,
    plan_of,
)
from realign_daemon.groups.roll import said_of
from realign_daemon.host.cables import plugged_cables

log = structlog.get_logger()

# The head says every second that it lives. One that sleeps, or is stopped, keeps its connection for a while, and ranks
# that wait for it spin.
HEAD_SILENCE_S = 5.0
WANTED_LOOK_S = 1.0

Emit = Callable[[Event], None]


class Member:
    """See `serve`."""

    def __init__(
        self,
        berth: Berth,
        *,
        vacate: Callable[[], Awaitable[None]],
        objection: Callable[[], str],
        is_wanted: Callable[[], bool],
        clock: Clock,
    ) -> None:
        """`vacate` ends what this node computes by itself; `objection` says why it takes no work, "" when it does.

        `is_wanted` says whether some home has work for it.
        """
        self._berth, self._vacate, self._objection = berth, vacate, objection
        self._is_wanted, self._clock = is_wanted, clock

    async def serve(self, commands: AsyncIterator[Command], emit: Emit, *, head_host: str) -> None:
        """Returns when there is no rank any more. `head_host` is the address from which the head calls."""
        inbox = asyncio.Queue[Command | Ended | None](maxsize=64)
        reading = asyncio.create_task(_read(commands, inbox), name="member.commands")
        try:
            wanted = await _within_silence(inbox)
            if not isinstance(wanted, Prepare):
                return
            async with self._berth.occupy(wanted, objection=self._objection) as place:
                log.info("member.serving", group=wanted.group, head=wanted.head, rank=wanted.rank, model=wanted.model)
                service = _Service(place, inbox, emit)
                service.soon(partial(self._tell_when_wanted, emit), "member.wanted")
                await service.run(self._vacate, head_host)
        except RankRefused as refusal:
            log.info("member.refused", reason=str(refusal))
            emit(Ended(cause=str(refusal), is_refusal=True))
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _tell_when_wanted(self, emit: Emit) -> None:
        while not self._is_wanted():
            await self._clock.sleep(WANTED_LOOK_S)
        emit(Wanted())


class _Service:
    """One rank's time at the berth."""

    def __init__(self, place: Place, inbox: asyncio.Queue[Command | Ended | None], emit: Emit) -> None:
        self._place, self._inbox, self._emit = place, inbox, emit
        self._tasks: list[asyncio.Task[None]] = []
        self._is_prepared = False
        place.on_give_up = lambda cause: self.soon(partial(self._inbox.put, Ended(cause=cause)), "member.give_up")

    async def run(self, vacate: Callable[[], Awaitable[None]], head_host: str) -> None:
        """Obeys the head until one of the two ends it."""
        self.soon(partial(self._prepare, vacate, head_host), "member.prepare")
        try:
            while (command := await _within_silence(self._inbox)) is not None:
                match command:
                    case Start() if self._is_prepared and self._place.process is None:
                        await self._start(command)
                    case Gathered(parts=parts) if self._place.process is not None:
                        await self._place.process.gathered(parts)
                    case Stop(distrusts=distrusts):
                        self._place.distrusts = distrusts
                        return
                    case Ended():
                        self._emit(command)
                        return
                    case _:  # HeadLives; or out of turn
                        pass
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _prepare(self, vacate: Callable[[], Awaitable[None]], head_host: str) -> None:
        wanted = self._place.wanted
        try:
            reference = await self._place.prepare(vacate)
            if wanted.backend == "jaccl":
                answer = Prepared(reference=reference, cables=await asyncio.to_thread(plugged_cables))
            else:
                answer = Prepared(reference=reference, address=port_facing(head_host))
            self._is_prepared = True
            self._emit(answer)
        except (RankRefused, OSError) as refusal:
            await self._inbox.put(Ended(cause=str(refusal), is_refusal=True))

    async def _start(self, start: Start) -> None:
        try:
            process = await self._place.start(plan_of(self._place.wanted, start), self._emit)
        except (RankRefused, ValueError, OSError) as refusal:
            await self._inbox.put(Ended(cause=str(refusal), is_refusal=True))
            return
        self._emit(Started(pid=process.pid))
        self.soon(self._tell_end, "member.end")

    async def _tell_end(self) -> None:
        process = self._place.process
        assert process is not None, "it was started"
        await self._inbox.put(Ended(cause=said_of(await process.until_ended())))

    def soon(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        """Has it done beside, for as long as the service lasts."""

        async def done() -> None:
            try:
                await work()
            except Exception:  # else the head would wait for what this should have brought
                log.exception("member.crashed")
                await self._inbox.put(Ended(cause="it met a defect in realign; that node's log has the details"))

        self._tasks.append(asyncio.create_task(done(), name=name))


async def _within_silence(inbox: asyncio.Queue[Command | Ended | None]) -> Command | Ended | None:
    """What comes next; None when the head's connection has ended, or it is silent."""
    try:
        async with asyncio.timeout(HEAD_SILENCE_S):
            return await inbox.get()
    except TimeoutError:
        log.warning("member.head_silent", silent_s=HEAD_SILENCE_S)
        return None


async def _read(commands: AsyncIterator[Command], inbox: asyncio.Queue[Command | Ended | None]) -> None:
    try:
        async for command in commands:
            await inbox.put(command)
    finally:
        with suppress(asyncio.QueueFull):  # a head that says so much at once will be silent soon
            inbox.put_nowait(None)
