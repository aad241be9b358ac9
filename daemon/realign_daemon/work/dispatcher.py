"""Dispatcher: the home's side of work. Has an order's units computed by whatever nodes there are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

import structlog

from realign_daemon.clock import Clock
from realign_daemon.engine.codec import decode_result
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.errors import DamagedBlob
from realign_daemon.work.board import Board
from realign_daemon.work.crew_links import Connections, CrewLinks
from realign_daemon.work.ledger import Execution, Ledger, StoredResult
from realign_daemon.work.messages import (
    Assign,
    Capacity,
    Event,
    GroupLoss,
    GroupLost,
    Returned,
    Revoke,
    UnitDone,
    UnitFailed,
    UnitProgress,
)
from realign_daemon.work.units import Unit, UnitKey
from realign_planner import schedule

log = structlog.get_logger()

LOOK_EVERY_S = 0.25  # how soon a node that came or went is noticed


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """A node that may work on an order now, and the speed the plan assumed for it."""

    node: str
    examples_per_s: float
    batch_size: int = 0  # units that it may have running together, as planned; 0: as many as fill its engine
    group: GroupWish | None = None  # the nodes, this one first, that hold the model together


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Units that all use one model, for one stage of one job."""

    job_id: str
    stage: str
    model: str  # registry name
    units: tuple[Unit, ...]
    crew: Callable[[], Sequence[Crew]]  # asked again and again: nodes come and go
    home: str
    is_abandoned: Callable[[], bool] = lambda: False  # asked when it is cancelled: does nobody want it any more?
    changed: Callable[[Progress], None]
    group_lost: Callable[[GroupLoss], None] = lambda _: None  # called once for each group


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an order is. `finished` holds what became durable since the last call."""

    total: int
    done: int
    retried: int
    quarantined: int
    finished: tuple[StoredResult, ...] = ()
    note: str = ""
    part: float = 0.0  # how far the unit is that reports progress, 0..1
    waiting_because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an order: a result or a reason for every unit."""

    results: dict[UnitKey, StoredResult]
    quarantined: dict[UnitKey, str]


class Dispatcher:
    """Runs orders, one at a time."""

    def __init__(
        self, *, ledger: Ledger, connections: Connections, clock: Clock, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        """Looks every so often which nodes there are."""
        self._ledger = ledger
        self._connections = connections
        self._clock = clock
        self._look_every_s = look_every_s

    async def run(self, order: Order) -> Outcome:
        """Every unit's result or the reason there is none. Waits as long as no node can take the work."""
        keys = [unit.key for unit in order.units]
        known = await self._ledger.results(keys)
        given_up = await self._ledger.quarantined(order.job_id)
        await self._ledger.set_job_units(
            order.job_id,
            order.stage,
            ((k, "done" if k in known else "quarantined" if k in given_up else "wanted") for k in dict.fromkeys(keys)),
        )
        wanted = [unit for unit in order.units if unit.key not in known and unit.key not in given_up]
        outcome = Outcome(results=dict(known), quarantined=dict.fromkeys(given_up & set(keys), "given up before"))
        run = _Run(
            order,
            outcome,
            ledger=self._ledger,
            connections=self._connections,
            clock=self._clock,
            look_every_s=self._look_every_s,
        )
        run.board.add(wanted, failures=await self._ledger.failures([unit.key for unit in wanted]))
        run.tell(finished=tuple(known.values()))
        if wanted:
            await run.to_the_end()
        return outcome


class _Run:
    """One order under way."""

    def __init__(
        self,
        order: Order,
        outcome: Outcome,
        *,
        ledger: Ledger,
        connections: Connections,
        clock: Clock,
        look_every_s: float,
    ) -> None:
        self._look_every_s = look_every_s
        self.board = Board()
        self._order = order
        self._outcome = outcome
        self._ledger = ledger
        self._connections = connections
        self._links = CrewLinks(connections, clock)
        self._clock = clock
        self._before = len(outcome.results) + len(outcome.quarantined)
        self._note, self._part = "", 0.0
        self._crew: dict[str, Crew] = {}  # by node
        self._lost_groups: set[str] = set()

    async def to_the_end(self) -> None:
        try:
            while not self.board.is_complete:
                self._keep_connected()
                await self._decide()
                await self._listen()
        except asyncio.CancelledError:
            if self._order.is_abandoned():
                await self._links.abandon()
            raise
        finally:
            await self._links.close()

    def tell(self, *, finished: tuple[StoredResult, ...] = (), waiting_because: str = "") -> None:
        board = self.board
        self._order.changed(
            Progress(
                total=len(board.units) + self._before,
                done=len(self._outcome.results),
                retried=len(board.retried),
                quarantined=len(self._outcome.quarantined),
                finished=finished,
                note=self._note,
                part=self._part,
                waiting_because=waiting_because,
            )
        )

    def _keep_connected(self) -> None:
        self._crew = {member.node: member for member in self._order.crew()}
        for member in self._crew.values():
            self.board.expect(member.node, member.examples_per_s)
        for node in self._links.keep(tuple(self._crew)):
            self.board.put_back(node)

    async def _decide(self) -> None:
        loads = tuple(
            schedule.NodeLoad(
                node_id=node,
                examples_per_s=self.board.speed(node),
                slots=(slots := self._slots(node, connection.capacity)),
                in_flight=(flying := max(0, self.board.flying(node) - connection.capacity.held)),
                unstarted=max(0, flying - slots - connection.asked_back),
                accepting=connection.capacity.accepting and not self._links.is_refused(node),
            )
            for node, connection in sorted(self._links.open.items())
            if connection.capacity is not None
        )
        accepting = frozenset(load.node_id for load in loads if load.accepting)
        for decision in schedule.decide(schedule.Snapshot(pending=len(self.board.waiting), nodes=loads)):
            match decision:
                case schedule.Assign(node_id=node, count=count):
                    given = await self._assign(node, count, accepting)
                    # What failed on this node before was left for the others: the schedule does not know of that.
                    for other in sorted(accepting - {node}, key=self.board.flying):
                        given += await self._assign(other, count - given, accepting)
                case schedule.Revoke(node_id=node, count=count):
                    self._links.open[node].asked_back += count
                    await self._links.send(node, Revoke(count=count))
                case schedule.Wait():
                    pass
                case _:
                    assert_never(decision)
        if not accepting or self._stands_still(accepting):
            self.tell(waiting_because=self._links.why_nobody_works())

    def _slots(self, node: str, capacity: Capacity) -> int:
        """How many units the node runs together: what fills its engine, and no more than planned."""
        return min(capacity.slots, self._crew[node].batch_size or capacity.slots)

    def _stands_still(self, accepting: frozenset[str]) -> bool:
        """Whether all that is left lies with nodes that take no more: one has no room on its disk for what it did."""
        return not self.board.waiting and not any(map(self.board.flying, accepting))

    async def _assign(self, node: str, count: int, accepting: frozenset[str]) -> int:
        taken = self.board.take(node, count, others=accepting - {node})
        if not taken:
            return 0
        # A node that slept or was cut off may have ended a unit given up for lost, and its result have come since.
        late = await self._ledger.results([unit.key for unit in taken])
        if late:
            await self._count(late.values())
        if units := tuple(unit for unit in taken if unit.key not in late):
            order, member = self._order, self._crew[node]
            await self._links.send(
                node,
                Assign(
                    units=units,
                    model=order.model,
                    home=order.home,
                    group=member.group,
                    batch_size=member.batch_size,
                ),
            )
        return len(taken)

    async def _listen(self) -> None:
        """Waits for news at most for a moment, then takes in all that came."""
        heard = await self._links.hear(within_s=self._look_every_s)
        if finished := [(news.node, news.event) for news in heard if isinstance(news.event, UnitDone)]:
            await self._keep(finished)
        for news in heard:
            await self._take_in(news.node, news.event)

    async def _keep(self, finished: list[tuple[str, UnitDone]]) -> None:
        """Makes results durable here, then counts them. A result that is no result is a failed attempt."""
        sound: list[StoredResult] = []
        for node, event in finished:
            key = event.result.key
            if key not in self.board.units:
                continue
            try:
                decode_result(event.result.result)
                for sha256 in event.blobs:
                    await self._connections.fetch_blob(node, sha256)
            except ValueError:
                await self._take_failure(node, key, "engine_died", f"{node} sent something that is no result")
            except (ConnectionError, DamagedBlob) as error:
                log.warning("blob.lost", node=node, reason=str(error))
                self.board.put_back(node, [key])
            else:
                sound.append(event.result)
        await self._ledger.add_results(sound, now_unix_s=self._clock.unix(), computed=False)
        await self._count(sound)

    async def _count(self, results: Iterable[StoredResult]) -> None:
        """Notes results that are in the ledger."""
        fresh = [r for r in results if self.board.finish(r.key, node=r.node, busy_s=r.busy_s)]
        for result in fresh:
            self._outcome.results[result.key] = result
        await self._ledger.set_job_units(
            self._order.job_id, self._order.stage, ((result.key, "done") for result in fresh)
        )
        self.tell(finished=tuple(fresh))

    async def _take_in(self, node: str, event: Event | None) -> None:
        match event:
            case None:
                self._links.lose(node)
                self.board.put_back(node)
            case Capacity():
                if node in self._links.open:
                    self._links.open[node].capacity = event
            case UnitDone():
                pass  # kept already
            case Returned(keys=keys):
                self._take_back(node, keys)
            case UnitProgress(done=done, total=total, note=note):
                self._note, self._part = f"{note}, step {done} of {total}", done / max(total, 1)
                self.tell()
            case UnitFailed(key=key, kind=kind, message=message):
                await self._take_failure(node, key, kind, message)
            case GroupLost(keys=keys, loss=loss):
                self.board.put_back(node, keys)
                self._lose_group(loss)
            case _:
                assert_never(event)

    def _take_back(self, node: str, keys: Iterable[UnitKey]) -> None:
        self.board.put_back(node, keys)
        if node in self._links.open:
            self._links.open[node].asked_back = 0

    def _lose_group(self, loss: GroupLoss) -> None:
        """Each unit that it hit brings the news; the plan hears it once."""
        if loss.group not in self._lost_groups:
            self._lost_groups.add(loss.group)
            self._order.group_lost(loss)

    async def _take_failure(self, node: str, key: UnitKey, kind: str, message: str) -> None:
        if kind not in ("engine_died", "bad_unit"):  # the node's trouble, not the unit's
            self._links.refuse(node, message)
            self.board.put_back(node)
            return
        if node != self._order.home:  # this node's own executor notes its own attempts
            attempt = Execution(key=key, node=node, outcome=kind, message=message, ended_unix_s=self._clock.unix())
            await self._ledger.note_executions([attempt])
        if self.board.fail(key, node=node, message=message, is_hopeless=kind == "bad_unit"):
            self._outcome.quarantined[key] = message
            await self._ledger.set_job_units(self._order.job_id, self._order.stage, [(key, "quarantined")])
        self.tell()
