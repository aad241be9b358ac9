"""Roster: the nodes that one job's plan counts on: measured first, and planned again when nodes come or go.

Each of the job's models has a crew of its own: nodes that hold all of it, or the head of a group that holds it
together. What a group's loss leaves to try is the planner's word (planner.setbacks); here it is remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from realign_daemon.clock import Clock
from realign_daemon.curation import intake
from realign_daemon.curation.colleague import Colleague, Colleagues
from realign_daemon.curation.job import Job
from realign_daemon.curation.record import NodeRecord
from realign_daemon.curation.spec import ModelPin
from realign_daemon.engine.api import ModelId
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.errors import BadInput, NothingFits
from realign_daemon.models.supply import Needs, Supply
from realign_daemon.work.dispatcher import Crew
from realign_daemon.work.messages import GroupLoss
from realign_planner.plan import Plan, PlannedModel
from realign_planner.setbacks import Bars, Setback, bars

log = structlog.get_logger()

MEASURE_TIMEOUT_S = 120.0
NO_REFERENCE = (
    "no independent reference: no node of a group held {} alone, so it was compared with its own first findings"
)


class Roster:
    """Keeps the plan in the job's record to what the living nodes can do."""

    def __init__(self, colleagues: Colleagues, job: Job, announce: Callable[[str, str], None], clock: Clock) -> None:
        """`announce` takes the kind of an event and one line for people."""
        self._colleagues = colleagues
        self._job = job
        self._announce = announce
        self._clock = clock
        self._supply = Supply(colleagues, job, announce)
        self._crews: dict[ModelId, tuple[Crew, ...]] = {}
        self._trainers: tuple[Crew, ...] = ()  # of the target
        self._setbacks: list[Setback] = []  # by node id
        self._retry_at_s: float | None = None  # when a model without a crew may get one
        self._planned_over: frozenset[str] = frozenset()

    @property
    def is_supplied(self) -> bool:
        """Whether some living node holds each of the job's models."""
        return not self._supply.held_by_none()

    async def be_supplied(self) -> None:
        """Has each of the job's models brought to some node. Raises as supply.Supply.first."""
        await self._supply.first(self.plan)

    async def measure(self) -> None:
        """Has each of the job's models measured by all nodes that have it and never did so."""
        pins = {pin.model: pin for pin in self._job.spec.pins}
        wanted = [
            (peer.node_id, pin.name)
            for peer in self._colleagues.alive()
            for model, pin in pins.items()
            if peer.holds(model)
            and not peer.facts.paused
            and not peer.has_measured(model)
            and pin.weight_bytes <= peer.facts.usable_bytes
        ]
        if wanted:
            self._announce("progress", "measuring the nodes")
        outcomes = await asyncio.gather(
            *(asyncio.wait_for(self._colleagues.measure(node, name), MEASURE_TIMEOUT_S) for node, name in wanted),
            return_exceptions=True,
        )
        for (node, name), outcome in zip(wanted, outcomes, strict=True):
            if isinstance(outcome, Exception):  # a prior serves; the run itself will show the speed
                log.warning("job.unmeasured", job=self._job.spec.job_id, node=node, model=name, reason=str(outcome))

    def plan(self, cause: str = "") -> None:
        """Plans over the living nodes, because of what `cause` says. A model that none of them can run gets no crew."""
        alive = self._supply.usable(self._colleagues.alive())
        self._planned_over = _working(alive)
        ids = {colleague.facts.name: colleague.node_id for colleague in alive}
        record, before = self._job.record, self._nodes()
        try:
            prepared, barred = self._drafted(alive, ids)
        except (NothingFits, BadInput) as error:
            self._crews, self._trainers, self._retry_at_s = {}, (), None
            self._warn(f"no living node can go on: {error}")
            return
        plan = prepared.plan
        crews = {model: _crew(planned, ids) for model, planned in prepared.models.items()}
        self._crews = {model: _unchanged(self._crews.get(model, ()), crew) for model, crew in crews.items()}
        self._trainers = _trainers(plan, self._crews[prepared.roles["target"].model], ids)
        self._supply.follow(self._needs())
        self._retry_at_s = None
        if not plan.fits:
            self._retry_at_s = barred.until_s
            self._warn(f"no living node can go on: {'; '.join((cause, *plan.reasons) if cause else plan.reasons)}")
            return
        record.plan = prepared.document
        if before and plan.cannot_train:
            self._warn(plan.cannot_train)
        if cause or (before and before != self._nodes()):
            who = ", ".join(node.name for node in plan.nodes)
            how = f" over {plan.backend}" if plan.backend else ""
            self._announce(
                "replanned", f"{cause}; planned again: {who}{how}" if cause else f"planned again: {who}{how}"
            )

    async def keep_planned(self) -> None:
        """Plans again whenever a node has come or gone, and brings models to the plan's nodes, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._supply.run(self.plan), name=f"supply.{self._job.spec.job_id}")
            async for _ in self._colleagues.changes():
                self.plan()

    def group_lost(self, loss: GroupLoss) -> None:
        """Plans again without what failed, and says in the record what became of the group's results."""
        wish = loss.wish
        now_s = self._clock.continuous()
        self._setbacks.append(
            Setback(nodes=wish.nodes, backend=wish.backend, lost=loss.lost, at_s=now_s, worked=loss.worked)
        )
        for model, crew in self._crews.items():
            self._crews[model] = tuple(member for member in crew if member.group != wish)
        log.warning("job.group_lost", job=self._job.spec.job_id, group=loss.group, lost=loss.lost, reason=loss.cause)
        if loss.thrown_away:
            count = f"{loss.thrown_away} result" + ("s" if loss.thrown_away > 1 else "")
            self._warn(f"{count} of a group were thrown away and computed again: {loss.cause}")
        self.plan(cause=f"a group was lost: {loss.cause}")

    def living(self, model: ModelId, *, trains: bool = False) -> Sequence[Crew]:
        """The nodes of the plan that are alive and run a model that they have; the record says of each what it does.

        Asked again and again, so it is here that a pause of a node is noticed, which nobody announces.
        """
        colleagues = self._supply.usable(self._colleagues.alive())
        is_rested = self._retry_at_s is not None and self._clock.continuous() >= self._retry_at_s
        if is_rested or _working(colleagues) != self._planned_over:
            self.plan()
        alive = {colleague.node_id for colleague in colleagues}
        planned = self._nodes()
        for node_id, node in self._job.record.nodes.items():
            node.state = "working" if node_id in planned & alive else "lost"
        crew = self._trainers if trains else self._crews.get(model, ())
        self._show_groups(crew, {colleague.node_id: colleague.facts.name for colleague in colleagues})
        name = next((pin.name for pin in self._job.spec.pins if pin.model == model), "")
        unvouched = {
            colleague.node_id for colleague in colleagues if name and colleague.unvouched.lower() == name.lower()
        }
        if any(member.group and member.node in unvouched for member in crew):
            self._warn(NO_REFERENCE.format(name))
        having = {colleague.node_id for colleague in colleagues if self._supply.has(colleague, model)}
        return [member for member in crew if having.issuperset(_nodes_of(member))]

    def _show_groups(self, crew: Sequence[Crew], names: Mapping[str, str]) -> None:
        """Has the record name all nodes of a group, though results come from its head alone."""
        nodes = self._job.record.nodes
        for node in (node for member in crew if member.group for node in member.group.nodes if node not in nodes):
            nodes[node] = NodeRecord(node_id=node, name=names.get(node, node))

    def _drafted(self, alive: Sequence[Colleague], ids: Mapping[str, str]) -> tuple[intake.Prepared, Bars]:
        """The plan over these nodes, and what it had to do without. Raises what `intake.draft` raises."""
        names = {node: name for name, node in ids.items()}
        request, passages = intake.request_of(self._job.spec), self._job.spec.passages
        barred = self._barred().named(names)
        prepared = intake.draft(request, alive, passages=passages, bars=barred)
        if not prepared.plan.fits and self._setbacks:
            barred = self._barred(is_last_resort=True).named(names)
            prepared = intake.draft(request, alive, passages=passages, bars=barred)
        return prepared, barred

    def _barred(self, *, is_last_resort: bool = False) -> Bars:
        """What may not be tried now, by node id; a group that works is not given up for one that promises more."""
        barred = bars(self._setbacks, self._clock.continuous(), is_last_resort=is_last_resort)
        wishes = (member.group for crew in self._crews.values() for member in crew if member.group is not None)
        working = next((wish for wish in wishes if self._planned_over.issuperset(wish.nodes)), None)
        return barred if working is None else barred.but_for(working.nodes, working.backend)

    def _nodes(self) -> frozenset[str]:
        """All that the plan counts on."""
        crews = (*self._trainers, *(member for crew in self._crews.values() for member in crew))
        return frozenset(node for member in crews for node in _nodes_of(member))

    def _needs(self) -> Needs:
        """What each node must have on its disk, in the plan's order."""
        needs: dict[str, dict[ModelId, ModelPin]] = {}
        for pin in self._job.spec.pins:
            trainers = self._trainers if pin == self._job.spec.roles["target"] else ()
            for member in (*self._crews.get(pin.model, ()), *trainers):
                for node in _nodes_of(member):
                    needs.setdefault(node, {})[pin.model] = pin
        return {node: tuple(pins.values()) for node, pins in needs.items()}

    def _warn(self, text: str) -> None:
        if text not in self._job.record.warnings:
            self._job.record.warnings.append(text)
            self._announce("warning", text)


def _nodes_of(member: Crew) -> tuple[str, ...]:
    """All of a group, or the one node."""
    return member.group.nodes if member.group else (member.node,)


def _crew(planned: PlannedModel, ids: Mapping[str, str]) -> tuple[Crew, ...]:
    """The nodes that are asked for a model's results: of a group its head alone.

    Requests at a server take none of a node's memory: it has as many there as its owner lets it.
    """
    group = planned.group
    if group is None:
        return tuple(
            Crew(
                node=ids[node.name],
                examples_per_s=node.examples_per_s or 0.0,
                batch_size=0 if planned.endpoint else node.batch_size,
            )
            for node in planned.nodes
        )
    nodes = _ids(planned.on_nodes, ids)
    wish = GroupWish(nodes=nodes, backend=group.backend, parallelism=group.parallelism, split=group.split)
    return (Crew(node=nodes[0], examples_per_s=group.examples_per_s, batch_size=group.cost.batch_size, group=wish),)


def _unchanged(before: tuple[Crew, ...], now: tuple[Crew, ...]) -> tuple[Crew, ...]:
    """The crew as it was where the same nodes would only divide the model otherwise: that is worth no new load."""
    was, wish = (crew[0].group if crew else None for crew in (before, now))
    is_divided = was and wish and was != wish and (was.nodes, was.backend) == (wish.nodes, wish.backend)
    return before if is_divided else now


def _trainers(plan: Plan, crew: tuple[Crew, ...], ids: Mapping[str, str]) -> tuple[Crew, ...]:
    """Who trains: the head of a group, else whoever of the crew holds the whole model, else the node that does."""
    training = plan.training
    if training is None or not training.nodes:
        return ()
    nodes = _ids(training.nodes, ids)
    if training.backend is not None:
        wish = GroupWish(nodes=nodes, backend=training.backend, parallelism="data")
        return (Crew(node=nodes[0], examples_per_s=training.examples_per_s, group=wish),)
    return tuple(member for member in crew if member.group is None) or (
        Crew(node=nodes[0], examples_per_s=training.examples_per_s),
    )


def _ids(names: Iterable[str], ids: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(ids.get(name, name) for name in names)


def _working(colleagues: Sequence[Colleague]) -> frozenset[str]:
    return frozenset(colleague.node_id for colleague in colleagues if not colleague.facts.paused)
