"""Desk: what a stage works at. Hands tasks to the cluster and computations to the worker child, and keeps the record.

A stage is a function from the spec to tasks and from results to more tasks. Results are remembered by key, so running
a stage again costs nothing: that is how a job resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from realign_daemon.curation.computations import Computations
from realign_daemon.curation.documents.chunks import Chunking
from realign_daemon.curation.documents.reading import Reading
from realign_daemon.curation.fields import value_of
from realign_daemon.curation.record import JobRecord, JobState, StageRecord
from realign_daemon.curation.sources import read_source
from realign_daemon.curation.spec import JobSpec, ModelPin, SourceSpec
from realign_daemon.curation.unit_nodes import UnitNodes
from realign_daemon.engine.api import (
    Fill,
    Filled,
    Fuse,
    Fused,
    Generate,
    Generated,
    Render,
    Rendered,
    Result,
    Score,
    Scored,
    Task,
    Train,
    Trained,
)
from realign_daemon.engine.codec import decode_result
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.dispatcher import Crew, Dispatcher, Order, Progress
from realign_daemon.work.ledger import Ledger, StoredResult
from realign_daemon.work.messages import GroupLoss
from realign_daemon.work.units import Unit, UnitKey, make_unit
from realign_planner import gates
from realign_planner.gates import Measure
from realign_planner.plan import Role

R = TypeVar("R", bound=Result)

COMPUTE_TIMEOUT_S = 600.0
EVALUATION_CHUNKING = Chunking(policy="sentence")  # a leaked sentence is found whatever stands around it
PILOT_ITEMS = 20  # few enough for two minutes, enough to show a doomed job
# A job in one of these states wants no more results; one that is only interrupted takes them when it goes on.
ABANDONED: frozenset[JobState] = frozenset({"cancelled", "paused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a desk borrows from the node for one job."""

    dispatcher: Dispatcher
    ledger: Ledger
    blobs: BlobStore
    computations: Computations
    crew: Callable[[ModelPin, bool], Sequence[Crew]]  # who works with a model now; of a training, who trains it
    home: str
    node_names: Callable[[], dict[str, str]]
    changed: Callable[[], None]  # the record has changed
    group_lost: Callable[[GroupLoss], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A result and where it came from, for the provenance of rows."""

    key: UnitKey
    node: str


class Desk:
    """One job's desk."""

    is_pilot: bool = False  # about PILOT_ITEMS items, and no training

    def __init__(
        self,
        spec: JobSpec,
        record: JobRecord,
        surroundings: Surroundings,
        *,
        counted: set[UnitKey],
        is_pilot: bool = False,
    ) -> None:
        """`counted` are the units that the job's pilot counted: a pilot adds to them, the run counts none again."""
        self.spec = spec
        self.is_pilot = is_pilot
        self.record = record
        self.stage: StageRecord = record.stages[0]
        self._with = surroundings
        self._counted_in_pilot = counted
        self._nodes = UnitNodes()

    @property
    def blobs(self) -> BlobStore:
        """Files of this node by content hash."""
        return self._with.blobs

    def pin(self, role: Role) -> ModelPin:
        """The model in a role."""
        return self.spec.roles[role]

    @property
    def judges(self) -> tuple[ModelPin, ...]:
        """Every model that judges, the one in the role first."""
        return (self.pin("judge"), *self.spec.judges)

    def say(self, activity: str) -> None:
        """Shows what the stage is doing, in a few words."""
        self.stage.activity = activity
        self._with.changed()

    def warn(self, text: str) -> None:
        """Adds a warning to the job, once."""
        if text not in self.record.warnings:
            self.record.warnings.append(text)
            self._with.changed()

    def is_rejected(self, measure: Measure) -> bool:
        """True when the stage's gate will stop the job for this: what would come after it is not worth doing."""
        verdict = gates.judge(self.stage.name, measure, overrides=self.spec.gate_settings)
        return gates.blocks(verdict) and measure.metric not in self.spec.overrides

    def made(self, task: Task) -> Made:
        """Which unit a task was and which node computed it. The task must have been performed at this desk."""
        key = make_unit(task).key
        node = self._nodes[key]
        return Made(key=key, node=self._with.node_names().get(node, node))

    async def recall(self, tasks: Sequence[Task]) -> list[Result | None]:
        """What is remembered of the tasks, in their order; None for one without a result. Nothing is computed."""
        keys = [make_unit(task).key for task in tasks]
        stored = await self._with.ledger.results(list(dict.fromkeys(keys)))
        results = {key: decode_result(one.result) for key, one in stored.items()}
        return [results.get(key) for key in keys]

    async def generate(self, role: Role, tasks: Sequence[Generate]) -> list[Generated | None]:
        """Results in the order of the tasks; None where the unit was given up."""
        return await self._perform(self.pin(role), tasks, Generated)

    async def fill(self, role: Role, tasks: Sequence[Fill]) -> list[Filled | None]:
        """Like generate."""
        return await self.fill_by(self.pin(role), tasks)

    async def fill_by(self, pin: ModelPin, tasks: Sequence[Fill]) -> list[Filled | None]:
        """Like fill, by one of several judges."""
        filled = await self._perform(pin, tasks, Filled)
        if any(one is not None and one.samples for one in filled):
            self.warn(
                f"{pin.endpoint} gave no probabilities of choices: judgements of {pin.name} were counted over sampled "
                "answers, which is coarser; provenance says which"
            )
        return filled

    async def score(self, role: Role, tasks: Sequence[Score]) -> list[Scored | None]:
        """Like generate."""
        return await self._perform(self.pin(role), tasks, Scored)

    async def render(self, role: Role, tasks: Sequence[Render]) -> list[Rendered | None]:
        """Like generate."""
        return await self._perform(self.pin(role), tasks, Rendered)

    async def fuse(self, role: Role, task: Fuse) -> Fused | None:
        """The new model, in this node's blob store; None where the unit was given up."""
        return (await self._perform(self.pin(role), [task], Fused))[0]

    async def train(self, role: Role, task: Train) -> Trained | None:
        """The trained adapter, in this node's blob store; None in a pilot, which trains nothing."""
        if self.is_pilot:
            return None
        return (await self._perform(self.pin(role), [task], Trained))[0]

    async def compute(self, function: str, arguments: dict[str, object]) -> Any:  # noqa: ANN401 - plain data
        """What a registered worker function gives for plain arguments, computed once for ever.

        Raises:
            WorkerError: see worker/errors.py.
        """
        return await self._with.computations.call(function, arguments, timeout_s=COMPUTE_TIMEOUT_S)

    async def read(self, source: SourceSpec, chunking: Chunking) -> Reading:
        """The source's chunks; it was read once already, at submit.

        Raises:
            BadInput: it can no longer be read.
        """
        return await read_source(self._with.computations, self.blobs, source, chunking)

    async def evaluation_texts(self) -> list[str]:
        """The texts of the job's evaluation sets, which no row may hold: one a record, or one a passage.

        Raises:
            BadInput: a set can no longer be read.
        """
        texts: list[str] = []
        for source in self.spec.eval_sets:
            reading = await self.read(source, EVALUATION_CHUNKING)
            texts += [value_of("question", record.fields, {}) or record.chunk.text for record in reading.records]
            texts += [] if reading.records else [chunk.text for chunk in reading.chunks]
        return texts

    async def _perform(self, pin: ModelPin, tasks: Sequence[Task], result_type: type[R]) -> list[R | None]:
        units = [make_unit(task) for task in tasks]
        once: dict[UnitKey, Unit] = {unit.key: unit for unit in units}
        if not once:
            return []
        trains = result_type is Trained
        order = Order(
            job_id=self.spec.job_id,
            stage=self.stage.name,
            model=pin.name,
            units=tuple(once.values()),
            crew=lambda: self._with.crew(pin, trains),
            group_lost=self._with.group_lost,
            home=self._with.home,
            is_abandoned=lambda: self.record.state in ABANDONED,
            changed=self._follow(trains=trains),
        )
        outcome = await self._with.dispatcher.run(order)
        results = {key: cast("R", decode_result(stored.result)) for key, stored in outcome.results.items()}
        assert all(isinstance(result, result_type) for result in results.values()), "a key names one kind of result"
        return [results.get(unit.key) for unit in units]

    def _follow(self, *, trains: bool) -> Callable[[Progress], None]:
        """Adds an order's progress to what the stage had before. An order's first news is what is remembered."""
        stage = self.stage
        before = replace(stage)
        known: int | None = None  # units whose results were there

        def changed(progress: Progress) -> None:
            nonlocal known
            is_first, known = known is None, progress.done if known is None else known
            if trains:
                stage.trainings = before.trainings + progress.total
                stage.trained_before = before.trained_before + known
                stage.trained = before.trained + progress.done - known
                stage.part = progress.part if progress.done < progress.total else 0.0
            else:
                stage.computed = before.computed + progress.done - known
                if is_first:  # what this run has asked before is nothing that it was spared
                    stage.remembered += sum(one.key not in self._nodes for one in progress.finished)
            stage.total = before.total + progress.total
            stage.done = before.done + progress.done
            stage.retried = before.retried + progress.retried
            stage.quarantined = before.quarantined + progress.quarantined
            waiting = f"waiting: {progress.waiting_because}" if progress.waiting_because else ""
            stage.activity = waiting or progress.note or before.activity
            self._count(progress.finished, are_remembered=is_first)
            self._with.changed()

        return changed

    def _count(self, finished: Sequence[StoredResult], *, are_remembered: bool) -> None:
        """Counts each unit once: for its node where this job had it computed, now or before it was interrupted."""
        new = [one for one in finished if one.key not in self._nodes and one.key not in self._counted_in_pilot]
        for one in finished:
            self._nodes.note(one.key, one.node)
        if self.is_pilot:
            self._counted_in_pilot.update(one.key for one in new)
        began_unix_s = self.record.began_unix_s
        own = [one for one in new if not are_remembered or one.started_unix_s >= began_unix_s]
        self.record.reused += len(new) - len(own)
        self.record.count(own, names=self._with.node_names())
