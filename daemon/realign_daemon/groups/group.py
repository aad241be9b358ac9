"""Group: one attempt of several nodes to hold a model together, seen from its head, which has rank 0."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import structlog

from realign_daemon.clock import Clock
from realign_daemon.engine.api import EngineStatus, LocalModel, Progress
from realign_daemon.engine.codec import decode_result
from realign_daemon.engine.errors import BadTask, EngineDied, GroupDied
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.groups import canary
from realign_daemon.groups.addresses import host_of, is_at, port_facing
from realign_daemon.groups.berth import Berth, Place, RankProcess, RankRefused, load_patience_s
from realign_daemon.groups.cables import matrix_of
from realign_daemon.groups.confirmations import IDLE_S, Confirmations
from realign_daemon.groups.messages import Logprobs, Prepare, Prepared, Start, plan_of
from realign_daemon.groups.roll import GroupLink, RankLost, Roll, linked
from realign_daemon.groups.singing import sing
from realign_daemon.groups.watchdog import LEAST_STEP_S, Lost
from realign_daemon.host.cables import plugged_cables
from realign_planner.models import CACHE_TOKENS

log = structlog.get_logger()

VIEWS_S = 3.0  # in which the other ranks' findings follow rank 0's
_FORMED_LOOK_S = 0.02
_UNWATCHED_S = 24 * 3600.0  # of one process by itself: the group's watchdog is the one that counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the head of a group works with."""

    node: str  # its id
    name_of: Callable[[str], str]  # node id -> what people call it
    connect: Callable[[str], AbstractAsyncContextManager[GroupLink]]  # node id; raises ConnectionError
    host_of: Callable[[str], str]  # node id -> where it is connected
    berth: Berth
    vacate: Callable[[], Awaitable[None]]  # ends what this node's own engine holds
    clock: Clock


class Group:
    """It forms at once, which `form` waits for. It can be asked until it is over; `close` is one reason of many."""

    def __init__(self, head: Head, model: LocalModel, wish: GroupWish, *, name: str) -> None:
        """`name` is the attempt's, never used before."""
        self.model, self.wish, self.name = model, wish, name
        self.is_worth_a_retry = False  # a rank ended while they joined, as one does whose port was taken
        self._head, self._now = head, head.clock.continuous
        self._nodes = tuple(map(head.name_of, wish.nodes))
        self._roll = Roll(len(wish.nodes), head.clock)
        self._ready = asyncio.Event()
        self._closing = asyncio.Event()
        self._over: asyncio.Future[GroupDied] = asyncio.get_running_loop().create_future()
        self._place: Place | None = None
        self._process: RankProcess | None = None
        self._room_tokens = max(1, wish.batch_size) * CACHE_TOKENS  # whose cache every rank has looked for
        self._scale = canary.Scale(self._room_tokens)
        self._distrusts = False
        self._in_flight, self._idle_since_s = 0, self._now()
        self._is_given_up = False  # nobody waited any longer for what was asked last
        self._confirmations = Confirmations(now_s=self._now())
        self._running = asyncio.create_task(self._run(), name=f"group.{name}")

    @property
    def is_over(self) -> bool:
        """Whether it can be asked no more."""
        return self._over.done()

    @property
    def is_to_go(self) -> bool:
        """Whether it should end once it has no work: a node has other work, or its own was given up just now."""
        return self._roll.is_wanted or self._is_given_up

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in flight, and no result waits for a canary."""
        return not self._in_flight and not self._confirmations.held

    async def form(self) -> None:
        """Returns once the model is loaded and the group was found to compute what it should. Raises GroupDied."""
        ready = asyncio.ensure_future(self._ready.wait())
        try:
            await asyncio.wait({ready, self._over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self._over.done():
            raise self._over.result()

    async def request(
        self, body: Mapping[str, object], *, progress: Progress | None = None, step_s: float = LEAST_STEP_S
    ) -> dict[str, Any]:
        """Rank 0's reply; `step_s` is how long a step of it may take in any case. Raises BadTask, GroupDied."""
        if self._over.done():
            raise self._over.result()
        assert self._process is not None, "its ranks were started"
        assert self._roll.watchdog is not None, "and watched"
        self._in_flight += 1
        try:
            with self._roll.watchdog.allowing(step_s):
                reply = await self._process.request(body, stall_timeout_s=_UNWATCHED_S, progress=progress)
        except EngineDied:
            raise await asyncio.shield(self._over) from None
        except asyncio.CancelledError:
            self._is_given_up = True
            raise
        finally:
            self._in_flight -= 1
            self._idle_since_s = self._now()
        if body["op"] in ("task", "train"):  # a canary is sung for results from before, too
            self._is_given_up = False
        if body["op"] == "task":
            self._scale.worked(canary.context_tokens(cast("bytes", body["task"]), decode_result(reply["result"])))
        return reply

    def confirmation(self) -> Awaitable[None]:
        """Ends when a canary after now was good. Raises GroupDied."""
        waiting = self._confirmations.add(now_s=self._now())
        if self._over.done():
            self._confirmations.bad(self._over.result())
        return waiting

    async def close(self) -> None:
        """Ends it in good order: what waits for a canary gets one. Returns when no rank is left here."""
        self._closing.set()
        await asyncio.wait({self._running})

    async def abort(self) -> None:
        """Ends it at once. Returns when no rank is left here."""
        self._roll.blame(None, "it was given up")
        await asyncio.wait({self._running})

    def status(self) -> EngineStatus:
        """The head's part of it as an engine."""
        return self._place.status() if self._place else EngineStatus(state="starting", model=self.model.name)

    async def _run(self) -> None:
        """Its whole life. Whatever ends it, all ranks are dead, or will be when their nodes hear of it."""
        lost = Lost(rank=None, cause="it was dissolved")
        async with AsyncExitStack() as stack:
            try:
                await self._live(stack)
            except RankLost as error:
                lost = error.lost
            except Exception:  # the boundary of a group: its defect must not end the node
                log.exception("group.crashed", group=self.name)
                lost = Lost(rank=None, cause="it met a defect in realign; the head's log has the details")
            finally:
                self._end(lost)
                await asyncio.gather(self._kill_own(), self._roll.close(distrusts=self._distrusts))

    async def _kill_own(self) -> None:
        if self._process is not None:
            await self._process.kill("its group is over")

    def _end(self, lost: Lost) -> None:
        where = "" if lost.rank is None else f"rank {lost.rank} on {self._nodes[lost.rank]}: "
        died = GroupDied(
            model=self.model.name,
            group=self.name,
            lost=() if lost.rank is None else (self.wish.nodes[lost.rank],),
            cause=f"{where}{lost.cause}",
            thrown_away=self._confirmations.held,
            worked=self._confirmations.has_confirmed and not self._distrusts,
        )
        backend, held = self.wish.backend, died.thrown_away
        log.info("group.over", group=self.name, backend=backend, reason=died.cause, thrown_away=held)
        self.is_worth_a_retry = self.is_worth_a_retry and lost.has_ended
        self._confirmations.bad(died)
        self._over.set_result(died)

    async def _live(self, stack: AsyncExitStack) -> None:
        if self.wish.nodes[:1] != (self._head.node,) or not 1 < len(self.wish.nodes) == len(set(self.wish.nodes)):
            raise RankLost(Lost(rank=None, cause=f"{', '.join(self._nodes)} are no group with this node at its head"))
        self._place = place = await self._occupied(stack)
        place.on_give_up = lambda cause: self._roll.blame(0, cause)
        for rank, node in enumerate(self.wish.nodes[1:], 1):
            linking = linked(partial(self._head.connect, node), self._head.clock)
            try:
                link = await self._roll.unless_lost(stack.enter_async_context(linking))
            except ConnectionError as error:
                raise RankLost(Lost(rank=rank, cause=f"its node cannot be reached ({error})")) from error
            self._roll.follow(rank, link)
            self._roll.tell(rank, self._question(rank))
        await self._roll.unless_lost(self._assemble(place))
        self._ready.set()
        backend = self.wish.backend
        log.info("group.formed", group=self.name, backend=backend, model=self.model.name, nodes=self._nodes)
        await self._roll.unless_lost(self._keep_confirming())

    async def _occupied(self, stack: AsyncExitStack) -> Place:
        try:
            return await stack.enter_async_context(self._head.berth.occupy(self._question(0)))
        except RankRefused as refusal:
            raise RankLost(Lost(rank=0, cause=str(refusal))) from refusal

    def _question(self, rank: int) -> Prepare:
        wish = self.wish
        return Prepare(
            group=self.name,
            nodes=self._nodes,
            rank=rank,
            backend=wish.backend,
            parallelism=wish.parallelism,
            split=wish.split,
            model=self.model.name,
            model_id=self.model.model,
            mlx=self._head.berth.mlx,
            batch_size=wish.batch_size,
        )

    async def _assemble(self, place: Place) -> None:
        """From the first question to the first good canary. Raises RankLost."""
        try:
            reference = await place.prepare(self._head.vacate)
            others = await asyncio.gather(*self._roll.prepared[1:])
            known = self._agreed((reference, *(other.reference for other in others)))
            self._scale, place.lacks_reference = canary.Scale(self._room_tokens, known), not known
            await self._start(place, others)
            patience_s = load_patience_s(self.model)
            pass_s = (await self.request({"op": "load"}, step_s=patience_s))["value"]
            assert self._roll.watchdog is not None, "it was asked"
            self._roll.watchdog.loaded(pass_s, now_s=self._now())
            await self._canary(patience_s)
        except (RankRefused, OSError) as refusal:
            raise RankLost(Lost(rank=0, cause=str(refusal))) from refusal
        except (BadTask, ValueError) as error:  # of all of them alike: the model cannot be divided so
            raise RankLost(Lost(rank=None, cause=str(error))) from error

    async def _start(self, place: Place, others: Sequence[Prepared]) -> None:
        """Returns when all ranks have joined."""
        if self.wish.backend == "jaccl":
            own = await asyncio.to_thread(plugged_cables)
            start = Start(devices=matrix_of((own, *(other.cables for other in others))))
        else:
            await self._check_addresses(others)
            own = port_facing(host_of(others[0].address))
            start = Start(hosts=((own,), *((other.address,) for other in others)))
        plan = plan_of(self._question(0), start)
        self._roll.tell_all(start)
        self._process = await place.start(plan, lambda event: self._roll.take(0, event))
        self._roll.watch(self._process)
        self.is_worth_a_retry = True
        while not (self._roll.watchdog and self._roll.watchdog.is_formed):
            await self._head.clock.sleep(_FORMED_LOOK_S)
        self.is_worth_a_retry = False

    async def _check_addresses(self, others: Sequence[Prepared]) -> None:
        """Raises RankLost where a rank would listen elsewhere than on its node: all others would connect to it."""
        for rank, other in enumerate(others, 1):
            if not await is_at(other.address, self._head.host_of(self.wish.nodes[rank])):
                where = other.address or "no address"
                cause = f"it gave {where}, where it is not connected: a ring needs one IPv4 network"
                raise RankLost(Lost(rank=rank, cause=cause))

    def _agreed(self, references: Sequence[Logprobs]) -> Logprobs:
        """The most that a node found alone, if any did. Raises RankLost where they do not find the same."""
        known = [rank for rank, reference in enumerate(references) if reference]
        shared = min((len(references[rank]) for rank in known), default=0)  # one had less memory, and read shorter ones
        odd = [known[place] for place in canary.outliers([references[rank][:shared] for rank in known])]
        if not odd:
            return max(references, key=len)
        names = " and ".join(self._nodes[rank] for rank in odd)
        self._distrust()
        what = "other figures than the rest for the same weights; fetch the model there anew, and test the memory"
        raise RankLost(Lost(rank=odd[-1], cause=f"canary: {names} by itself computes {what}"))

    def _distrust(self) -> None:
        self._distrusts = True
        if self._place is not None:
            self._place.distrusts = True

    async def _keep_confirming(self) -> None:
        """Sings whenever a canary is due, until the group is to end."""
        while True:
            is_last = self._closing.is_set()
            now_s = self._now()
            idle_s = None if self._in_flight else now_s - self._idle_since_s
            is_due = self._confirmations.is_due(now_s=now_s, idle_s=idle_s)
            if is_due or (is_last and self._confirmations.held):
                self._confirmations.begin(now_s=now_s)
                await self._canary(LEAST_STEP_S)
                self._confirmations.good(now_s=self._now())
            elif is_last:
                return
            else:
                await self._head.clock.sleep(IDLE_S)

    async def _canary(self, step_s: float) -> None:
        """As long as the work since the last one. Without a reference the group's first findings are, if found again.

        Raises RankLost.
        """
        length, views = await self._sing(self._scale.begin(), step_s)
        if not self._scale.expected(length):
            self._scale.learn(length, views[0])
            length, views = await self._sing(length, step_s)
        self._judge(views, self._scale.expected(length))

    async def _sing(self, length: int, step_s: float) -> tuple[int, tuple[Logprobs, ...]]:
        """How long the canary was, and what each rank finds, rank 0's first."""
        self._roll.views.clear()

        async def ask(body: Mapping[str, object]) -> dict[str, Any]:
            return await self.request(body, step_s=step_s)

        sung, _ = await sing(ask, self.model.model, length)
        if sung < length:
            self._scale.read_at_most(sung)
        deadline_s = self._now() + VIEWS_S
        while self._now() < deadline_s:
            complete = next((view for view in self._roll.views.values() if len(view) == self._roll.size), None)
            if complete is not None:
                return sung, tuple(complete[rank] for rank in range(self._roll.size))
            await self._head.clock.sleep(_FORMED_LOOK_S)
        heard = {rank for view in self._roll.views.values() for rank in view}
        rank = min(set(range(self._roll.size)) - heard, default=None)
        raise RankLost(Lost(rank=rank, cause="canary: it did not say what it finds"))

    def _judge(self, views: Sequence[Logprobs], expected: Logprobs) -> None:
        """Raises RankLost where a rank finds something else than it should."""
        odd = canary.outliers(views)
        problem = canary.difference(views[0], expected)
        if not odd and not problem:
            return
        self._distrust()
        rank = odd[-1] if odd else None
        problem = problem or canary.difference(views[odd[-1]], views[0]) or "the ranks do not agree"
        raise RankLost(Lost(rank=rank, cause=f"canary: {problem} from what the same weights gave before"))
