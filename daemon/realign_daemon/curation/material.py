"""Material: what the stages of one job have made so far. Each stage reads what earlier ones left and adds its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from realign_daemon.curation.documents.document import Chunk
from realign_daemon.curation.metrics.preference import Verdict, is_consistent, win_score
from realign_daemon.engine.api import Generate, Sha256, Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A question drawn from a chunk. Held-out prompts come from sections that no training row comes from."""

    id: str  # hash of question and chunk
    question: str
    chunk: Chunk
    task: Generate  # that wrote the question
    is_held_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One sampled answer and the task that made it."""

    prompt: Prompt
    text: str
    task: Generate
    is_truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A response and its judged quality, 1..10."""

    response: Response
    quality: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A pair judged in both orders, by where the judge saw the first-named answer."""

    first_shown_first: Verdict  # with the first-named answer as A
    first_shown_second: Verdict  # with the first-named answer as B

    @property
    def is_consistent(self) -> bool:
        """Whether the same answer wins in both orders."""
        return is_consistent(self.first_shown_first, self.first_shown_second)

    @property
    def win_score(self) -> float:
        """The share that the first-named answer won, 0..1."""
        return win_score(self.first_shown_first, self.first_shown_second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The best- and the worst-rated answer to one prompt, and what the judge said of them afterwards."""

    chosen: Rated
    rejected: Rated
    comparison: Comparison
    gap: float | None = None  # of a fresh judgement, -1..1; None before stage 4

    @property
    def prompt(self) -> Prompt:
        """The prompt of both."""
        return self.chosen.response.prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the data set: the trainer's fields, and beside it where it came from."""

    fields: dict[str, Any]
    provenance: dict[str, Any]
    is_held_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Something that did not become a row, and why."""

    stage: str
    reason: str
    content: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Material:
    """What there is so far."""

    chunks: list[Chunk] = field(default_factory=list[Chunk])
    prompts: list[Prompt] = field(default_factory=list[Prompt])
    baseline: Trained | None = None  # the SFT adapter
    suites_before: dict[str, list[float | None]] = field(default_factory=dict[str, list[float | None]])
    responses: list[Response] = field(default_factory=list[Response])
    rated: dict[str, list[Rated]] = field(default_factory=dict[str, list[Rated]])  # by prompt id
    pairs: list[Pair] = field(default_factory=list[Pair])
    tuned: Trained | None = None  # the trained adapter
    rows: list[Row] = field(default_factory=list[Row])
    dropped: list[Dropped] = field(default_factory=list[Dropped])

    @property
    def adapter(self) -> Sha256 | None:
        """The latest adapter."""
        latest = self.tuned or self.baseline
        return latest.adapter if latest else None

    def drop(self, stage: str, reason: str, **content: object) -> None:
        """Notes what was left out."""
        self.dropped.append(Dropped(stage=stage, reason=reason, content=content))
