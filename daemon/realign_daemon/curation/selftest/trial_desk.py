"""Trial desk: a desk over what a job remembers, at which a defect can change what models and functions say."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from realign_daemon.curation.desk import Desk, Made, R
from realign_daemon.curation.documents.chunks import Chunking
from realign_daemon.curation.documents.reading import Reading
from realign_daemon.curation.material import Material
from realign_daemon.curation.record import JobRecord, StageRecord
from realign_daemon.curation.spec import ModelPin, SourceSpec
from realign_daemon.engine.api import Result, Sha256, Task, Train
from realign_daemon.work.units import make_unit

# What a task gives in a trial, from what it gave in the run; None stands for a unit without a result.
Answers = Callable[[Any, Any], Result | None]


class TrialDesk(Desk):
    """Asks no model and stores no file, and keeps a record of its own.

    A task gives what the job remembers of it, so that a stage goes its usual way; one that was never asked is given up.
    Any training gives what the job's own training gave.
    """

    def __init__(self, desk: Desk, material: Material) -> None:
        """At first nothing is changed; sources have the chunks and records of `material`."""
        self.spec = desk.spec
        self.is_pilot = desk.is_pilot
        self.record = JobRecord()
        self.stage = StageRecord(name="", title="")
        self.answers: Answers = _as_remembered
        self.functions: dict[str, Callable[..., Any]] = {}  # in place of those that are registered
        self.spoil: Callable[[str], str] | None = None  # what the text of sources is turned into
        self.leaked: tuple[str, ...] = ()  # further texts of the evaluation sets
        self.tuned, self._baseline = material.tuned, material.baseline
        self._chunks, self._records = tuple(material.chunks), tuple(material.records)
        self._desk = desk

    @property
    def blobs(self) -> Any:  # noqa: ANN401 - two methods of a store
        """The job's files; what is put in is named and not kept."""

        def put_bytes(data: bytes) -> Sha256:
            return Sha256(hashlib.sha256(data).hexdigest())

        return SimpleNamespace(read=self._desk.blobs.read, put_bytes=put_bytes)

    def say(self, activity: str) -> None:
        """Says nothing: nobody watches."""

    def warn(self, text: str) -> None:
        """Adds a warning to the trial's record."""
        self.record.warnings.append(text)

    def made(self, task: Task) -> Made:
        """The unit of any task; no node in particular made it."""
        return Made(key=make_unit(task).key, node="")

    async def recall(self, tasks: Sequence[Task]) -> list[Result | None]:
        """As at the job's desk."""
        return await self._desk.recall(tasks)

    async def compute(self, function: str, arguments: dict[str, object]) -> Any:  # noqa: ANN401 - plain data
        """What the function gives, or what takes its place."""
        changed = self.functions.get(function)
        return changed(**arguments) if changed else await self._desk.compute(function, arguments)

    async def read(self, source: SourceSpec, chunking: Chunking) -> Reading:
        """The source as far as it is in the trial, with the text ratio of what that says now."""
        reading = await self._desk.read(source, chunking)
        chunks = tuple(chunk for chunk in self._chunks if chunk.source_sha256 == source.sha256)
        records = tuple(record for record in self._records if record.chunk.source_sha256 == source.sha256)
        if self.spoil is None:
            return replace(reading, chunks=chunks, records=records)
        chunks = tuple(replace(chunk, text=self.spoil(chunk.text)) for chunk in chunks)
        ratio = await self.compute("documents.text_ratio", {"text": "\n".join(chunk.text for chunk in chunks)})
        return replace(reading, chunks=chunks, records=records, text_ratio=ratio)

    async def evaluation_texts(self) -> list[str]:
        """The job's evaluation items and those that a defect adds."""
        return [*await self._desk.evaluation_texts(), *self.leaked]

    async def _perform(self, pin: ModelPin, tasks: Sequence[Task], result_type: type[R]) -> list[R | None]:  # noqa: ARG002
        remembered = await self.recall(tasks)
        found = [
            self.answers(task, known or (self.tuned or self._baseline if isinstance(task, Train) else None))
            for task, known in zip(tasks, remembered, strict=True)
        ]
        assert all(isinstance(one, result_type | None) for one in found), "a defect answers in kind"
        return cast("list[R | None]", found)


def _as_remembered(_: Task, known: Result | None) -> Result | None:
    return known
