"""Material: what the stages of one job have made so far. Each stage reads what earlier ones left and adds its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from realign_daemon.curation.documents.document import Chunk, Record
from realign_daemon.curation.judgement import Choice, Rating
from realign_daemon.curation.metrics.preference import Verdict, is_consistent, win_score
from realign_daemon.curation.metrics.scaling import Scaling
from realign_daemon.curation.place import place, spot
from realign_daemon.curation.stages.antihallucination.probe import Probe
from realign_daemon.curation.stages.rlvr.problem import Problem, Solution
from realign_daemon.engine.api import Generate, Sha256, Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A question drawn from a chunk. Held-out prompts come from sections that no training row comes from."""

    id: str  # hash of question and chunk
    question: str
    chunk: Chunk
    task: Generate | None  # that wrote the question; None where it was given
    is_held_out: bool
    gold: str = ""  # the true answer, where it is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer and the task that made it."""

    prompt: Prompt
    text: str
    task: Generate | None  # None where the answer was given
    is_truncated: bool

    @property
    def seed(self) -> int:
        """The seed that it was sampled with; 0 for a given one."""
        return 0 if self.task is None else self.task.seed


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPair:
    """A preference that was there before the job: the answers in the order in which its owner prefers them."""

    prompt: Prompt
    chosen: Response
    rejected: Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A response and its judged quality, 1..10."""

    response: Response
    quality: float
    judgements: tuple[Rating, ...] = ()  # one of each judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A pair judged in both orders, by where the judge saw the first-named answer."""

    first_shown_first: Verdict  # with the first-named answer as A
    first_shown_second: Verdict  # with the first-named answer as B
    judgements: tuple[tuple[Choice, Choice], ...] = ()  # of each judge, in these two orders

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
    afresh: tuple[Rated, ...] = ()  # chosen and rejected, as that judgement has them

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

    sources: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])  # what reading them showed
    chunks: list[Chunk] = field(default_factory=list[Chunk])
    records: list[Record] = field(default_factory=list[Record])  # of sources and data that are files of records
    unasked: list[Chunk] = field(default_factory=list[Chunk])  # chunks that no question was drawn from yet
    widenings: int = 0  # how often an undecided gate had more prompts drawn
    held_out: frozenset[tuple[str, str]] = frozenset()  # sections: source hash, title
    prompts: list[Prompt] = field(default_factory=list[Prompt])
    baseline: Trained | None = None  # the SFT adapter
    suites_before: dict[str, list[float | None]] = field(default_factory=dict[str, list[float | None]])
    given: list[GivenPair] = field(default_factory=list[GivenPair])
    responses: list[Response] = field(default_factory=list[Response])
    rated: dict[str, list[Rated]] = field(default_factory=dict[str, list[Rated]])  # by prompt id
    pairs: list[Pair] = field(default_factory=list[Pair])
    problems: list[Problem] = field(default_factory=list[Problem])
    solutions: dict[str, list[Solution]] = field(default_factory=dict[str, list[Solution]])  # by prompt id
    probes: list[Probe] = field(default_factory=list[Probe])  # what the target knows
    scaling: Scaling | None = None  # from the tuned model's confidence to its chance of being right
    tuned: Trained | None = None  # the trained adapter
    fused: Sha256 | None = None  # a model with the adapter in its weights
    control: Trained | None = None  # the same with rewards that mean nothing
    rows: list[Row] = field(default_factory=list[Row])
    exhibits: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])  # by stage
    dropped: list[Dropped] = field(default_factory=list[Dropped])

    @property
    def adapter(self) -> Sha256 | None:
        """The latest adapter."""
        latest = self.tuned or self.baseline
        return latest.adapter if latest else None

    def drop(self, stage: str, reason: str, *, chunk: Chunk | None = None, **content: object) -> None:
        """Notes what was left out, and where the chunk that it comes from stands."""
        self.dropped.append(
            Dropped(stage=stage, reason=reason, content={**content, **(spot(place(chunk)) if chunk else {})})
        )

    def show(self, stage: str, made: Sequence[dict[str, Any]]) -> None:
        """Keeps what a stage made, in plain words, for whoever wants to look at the data."""
        self.exhibits[stage] = list(made)
