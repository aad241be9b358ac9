"""Roll: every rank of an attempt as its head hears of it, and the lines to those on other nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Protocol, TypeVar

import structlog

from realign_daemon.clock import Clock
from realign_daemon.engine.errors import EngineDied
from realign_daemon.engine.ranks import Beat, CanaryTaken, Formed, Gather
from realign_daemon.groups.berth import STOPPED, RankProcess
from realign_daemon.groups.messages import Command, Ended, Event, Gathered, HeadLives, Logprobs, Prepared, Stop, Wanted
from realign_daemon.groups.watchdog import Lost, Watchdog

log = structlog.get_logger()

LOOK_S = 0.25
# A node that was away is heard, and so planned for, by its own call; this one's dial to it may come seconds later.
LINKED_S = 4.0
LIVES_EVERY = 4  # looks
STOP_S = 1.0  # for the others to hear that it is over, and why
_MOST_VIEWS = 4  # one canary is under way; what more a node tells of is not waited for
_ECHO = "connection to a peer was lost"  # what MLX's ring says where another rank has gone

T = TypeVar("T")


class GroupLink(Protocol):
    """An open connection to the node of a rank."""

    async def send(self, command: Command) -> None:
        """Raises ConnectionError when the node has gone."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """Ends when the connection does. Raises ConnectionError when that was not in good order."""
        ...


class RankLost(Exception):
    """The group is over."""

    def __init__(self, lost: Lost) -> None:
        """Who is to blame."""
        self.lost = lost
        super().__init__(lost.cause)


class Roll:
    """`close` ends what it has begun."""

    def __init__(self, size: int, clock: Clock) -> None:
        loop = asyncio.get_running_loop()
        self.prepared: list[asyncio.Future[Prepared]] = [loop.create_future() for _ in range(size)]
        self.views: dict[int, dict[int, Logprobs]] = {}  # request of a canary -> rank -> what that one found
        self.watchdog: Watchdog | None = None  # once they were started
        self.is_wanted = False  # some node has other work
        self._clock = clock
        self._lost: asyncio.Future[Lost] = loop.create_future()
        self._outboxes = [asyncio.Queue[Command](maxsize=64) for _ in range(size)]
        self._gathered: dict[int, bytes] = {}
        self._own: RankProcess | None = None
        self._followed: dict[int, asyncio.Task[None]] = {}
        self._tasks = [asyncio.create_task(self._look(), name="group.look")]

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return len(self.prepared)

    def blame(self, rank: int | None, cause: str) -> None:
        """Ends the group; the first that was blamed is."""
        if not self._lost.done():
            self._lost.set_result(Lost(rank=rank, cause=cause))

    async def unless_lost(self, work: Awaitable[T]) -> T:
        """What the work gives. Raises RankLost, and cancels it, when the group is over before."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self._lost}, return_when=asyncio.FIRST_COMPLETED)
            if self._lost.done():
                raise RankLost(self._lost.result())
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def follow(self, rank: int, link: GroupLink) -> None:
        """From now on it is told what it should know, and heard."""
        self._followed[rank] = asyncio.create_task(self._hear(rank, link), name=f"group.hear.{rank}")
        self._tasks += [self._followed[rank], asyncio.create_task(self._send(rank, link), name=f"group.tell.{rank}")]

    def watch(self, process: RankProcess) -> None:
        """The ranks have been started, this one here as rank 0."""
        self._own = process
        self.watchdog = Watchdog(self.size, now_s=self._clock.continuous())
        self._tasks.append(asyncio.create_task(self._until_own_end(process), name="group.own"))

    def tell(self, rank: int, command: Command) -> None:
        """Sends it in its turn. A node that takes nothing in will be found silent."""
        with suppress(asyncio.QueueFull):
            self._outboxes[rank].put_nowait(command)

    def tell_all(self, command: Command) -> None:
        """Sends it to all other nodes."""
        for rank in self._followed:
            self.tell(rank, command)

    def take(self, rank: int, event: Event) -> None:
        """Notes what a rank, or its node, has said."""
        now_s, watchdog = self._clock.continuous(), self.watchdog
        match event:
            case Prepared() if not self.prepared[rank].done():
                self.prepared[rank].set_result(event)
            case Formed() if watchdog is not None:
                watchdog.formed(rank, now_s=now_s)
            case Beat(steps=steps, busy=busy) if watchdog is not None:
                watchdog.beat(rank, steps=steps, busy=busy, now_s=now_s)
            case CanaryTaken(request=request, logprobs=logprobs) if self._has_room(request):
                self.views.setdefault(request, {})[rank] = logprobs
            case Gather(data=data):
                self._gather(rank, data)
            case Wanted():
                self.is_wanted = True
            case Ended(cause=cause, is_refusal=is_refusal):
                if watchdog is None or is_refusal:
                    self.blame(rank, cause)
                else:
                    watchdog.ended(rank, cause, is_echo=_ECHO in cause, now_s=now_s)
            case _:  # Started, Holding; or said before it was asked
                pass

    async def close(self, *, distrusts: bool) -> None:
        """Tells all nodes that it is over, and waits a moment for them to have heard."""
        self.tell_all(Stop(distrusts=distrusts))
        followed = list(self._followed.values())
        try:
            if followed:
                await asyncio.wait(followed, timeout=STOP_S)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _has_room(self, request: int) -> bool:
        return request in self.views or len(self.views) < _MOST_VIEWS

    def _gather(self, rank: int, data: bytes) -> None:
        """JACCL's hand-shake: once all have given their part, each gets all parts. It may have several rounds."""
        self._gathered[rank] = data
        if len(self._gathered) < self.size or self._own is None:
            return
        parts = b"".join(self._gathered[place] for place in range(self.size))
        self._gathered = {}
        self.tell_all(Gathered(parts=parts))
        self._tasks.append(asyncio.create_task(self._own.gathered(parts), name="group.gathered"))

    async def _look(self) -> None:
        looks = 0
        while not self._lost.done():
            await self._clock.sleep(LOOK_S)
            looks += 1
            if looks % LIVES_EVERY == 0:
                self.tell_all(HeadLives())
            lost = self.watchdog.verdict(now_s=self._clock.continuous()) if self.watchdog else None
            if lost is not None and not self._lost.done():
                self._lost.set_result(lost)

    async def _hear(self, rank: int, link: GroupLink) -> None:
        cause = "its node ended the connection"
        try:
            async for event in link.events():
                self.take(rank, event)
        except ConnectionError as error:
            cause = f"its node cannot be reached ({error})"
        if self.watchdog is None:
            self.blame(rank, cause)
        else:
            self.watchdog.gone(rank, cause, now_s=self._clock.continuous())

    async def _send(self, rank: int, link: GroupLink) -> None:
        with suppress(ConnectionError):  # which `_hear` hears, too
            while True:
                await link.send(await self._outboxes[rank].get())

    async def _until_own_end(self, process: RankProcess) -> None:
        self.take(0, Ended(cause=said_of(await process.until_ended())))


@asynccontextmanager
async def linked(
    connect: Callable[[], AbstractAsyncContextManager[GroupLink]], clock: Clock
) -> AsyncGenerator[GroupLink]:
    """An open connection, waited for a while. Raises ConnectionError when there is none then either."""
    deadline_s = clock.continuous() + LINKED_S
    async with AsyncExitStack() as stack:
        while True:
            try:
                link = await stack.enter_async_context(connect())
                break
            except ConnectionError:
                if clock.continuous() >= deadline_s:
                    raise
            await clock.sleep(LOOK_S)
        yield link


def said_of(died: EngineDied) -> str:
    """How a rank ended, in one sentence. One that was killed had no time to say why, whatever it said last."""
    is_told = died.last_words and not died.cause.startswith(("killed by SIGKILL", STOPPED))
    return f"{died.cause}: {died.last_words}" if is_told else died.cause
