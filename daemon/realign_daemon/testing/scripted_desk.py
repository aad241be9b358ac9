"""Scripted desk: a desk whose models answer as a test writes, with blobs and computations in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from realign_daemon.curation.desk import Desk, Made
from realign_daemon.curation.documents.chunks import Chunking
from realign_daemon.curation.documents.document import Chunk, Span
from realign_daemon.curation.documents.reading import Reading
from realign_daemon.curation.material import Prompt
from realign_daemon.curation.record import JobRecord, StageRecord
from realign_daemon.curation.spec import JobSpec, ModelPin, SourceSpec
from realign_daemon.engine.api import Generate, Message, ModelId, Result, Sampler, Sha256, Task, Train, Trained
from realign_daemon.work.units import UnitKey, make_unit
from realign_daemon.worker.registry import FUNCTIONS, resolve

Answer = Callable[[Any], Any]  # a task's result; None for a unit that was given up
PIN = ModelPin(name="pocket", model=ModelId("m"), params_b=0.001, bits=16, weight_bytes=1, templates="pocket")


class ScriptedDesk(Desk):
    """Gives for each task what `answer` gives, and runs worker functions on the spot unless `computed` has theirs."""

    def __init__(
        self,
        answer: Answer,
        *,
        blobs: Mapping[str, str] | None = None,
        computed: Mapping[str, Callable[..., Any]] | None = None,
        readings: Mapping[str, Reading] | None = None,
        trained: Trained | Callable[[Train], Trained] | None = None,
        is_pilot: bool = False,
        **changes: Any,  # noqa: ANN401 - fields of the spec
    ) -> None:
        """`readings` are by source name, `changes` fields of the spec; `trained` is what training gives."""
        self.spec = job_spec(**changes)
        self.record = JobRecord()
        self.stage = StageRecord(name="s", title="s")
        self.is_pilot = is_pilot
        self.tasks: list[Task] = []  # every task, in the order asked
        self._known: set[Task] = set()
        self._answer, self._trained = answer, trained
        self._computed, self._readings = computed or {}, readings or {}
        self._files = {name: text.encode() for name, text in (blobs or {}).items()}

    @property
    def trainings(self) -> list[Train]:
        """The training tasks asked for."""
        return [task for task in self.tasks if isinstance(task, Train)]

    @property
    def blobs(self) -> Any:  # noqa: ANN401 - two methods of a store
        """The blobs given, and those put since."""

        def put_bytes(data: bytes) -> Sha256:
            self._files[key := hashlib.sha256(data).hexdigest()] = data
            return Sha256(key)

        return SimpleNamespace(read=self._files.__getitem__, put_bytes=put_bytes)

    def say(self, activity: str) -> None:
        """Keeps the activity."""
        self.stage.activity = activity

    def warn(self, text: str) -> None:
        """Keeps the warning."""
        self.record.warnings.append(text)

    def made(self, task: Task) -> Made:
        """The task's own key, on a node called "node"."""
        return Made(key=make_unit(task).key if isinstance(task, Generate) else UnitKey("unit"), node="node")

    async def recall(self, tasks: Sequence[Task]) -> list[Result | None]:
        """What the tasks gave that were asked before."""
        return [self._given(task) if task in self._known else None for task in tasks]

    async def compute(self, function: str, arguments: dict[str, object]) -> Any:  # noqa: ANN401 - plain data
        """What the test gives for the function, else the real function's result."""
        run = self._computed.get(function) or resolve(FUNCTIONS[function])
        return run(**arguments)

    async def read(self, source: SourceSpec, chunking: Chunking) -> Reading:  # noqa: ARG002 - chunked already
        """The reading given for the source's name."""
        return self._readings[source.name]

    async def _perform(self, pin: ModelPin, tasks: Sequence[Task], result_type: type[Any]) -> list[Any]:  # noqa: ARG002
        self.tasks += tasks
        self._known.update(tasks)
        return [self._given(task) for task in tasks]

    def _given(self, task: Task) -> Any:  # noqa: ANN401 - a task's result
        if not isinstance(task, Train):
            return self._answer(task)
        return self._trained(task) if callable(self._trained) else self._trained


def job_spec(**changes: Any) -> JobSpec:  # noqa: ANN401 - fields of the spec
    """A DPO job of the pocket model without sources, but for the changes."""
    values: dict[str, Any] = {
        "job_id": "dpo-1",
        "request": "r",
        "data_type": "dpo",
        "skill": "s",
        "roles": dict.fromkeys(("target", "generator", "judge"), PIN),
        "template_versions": {},
        "sources": (),
        "suites": Sha256("suites"),
        "created_unix_s": 0.0,
        "folder_name": "f",
        "realign_version": "0",
    }
    return JobSpec(**(values | changes))


def chunk(name: str, *, text: str = "x", section: str = "", source: str = "a.txt") -> Chunk:
    """A chunk of that id on page 1."""
    return Chunk(
        id=name,
        source=source,
        source_sha256=hashlib.sha256(source.encode()).hexdigest(),
        section=section,
        spans=(Span(page=1, start=0, end=1),),
        text=text,
    )


def prompt(
    question: str,
    *,
    is_held_out: bool = False,
    gold: str = "",
    task: Generate | None = None,
    of: Chunk | None = None,
) -> Prompt:
    """A prompt that a generator wrote about a chunk, under its question as id."""
    return Prompt(
        id=question,
        question=question,
        chunk=of or chunk(question),
        task=task or generation(),
        is_held_out=is_held_out,
        gold=gold,
    )


def generation(said: str = "q") -> Generate:
    """A task that says something to the target."""
    message = Message(role="user", content=said)
    return Generate(model=ModelId("m"), messages=(message,), sampler=Sampler(), seed=0, template="t@1")


def asked(task: Any) -> str:  # noqa: ANN401 - any task with messages
    """What the task's last message says."""
    return cast("str", task.messages[-1].content)
