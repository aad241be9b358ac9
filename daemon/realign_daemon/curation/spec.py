"""Job spec: a job as it was frozen at submit. An upgrade, a new model or a new template set cannot change it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import cattrs

from realign_daemon.engine.api import ModelId, Sha256
from realign_planner.data_types import DataType
from realign_planner.plan import Role

PilotMode = Literal["go_on", "ask", "only"]  # what follows a pilot that rejects nothing
Thinking = Literal["off", "strip", "keep"]  # not at all; beside the answer; in the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPin:
    """A role's model, resolved to weights that are on some node, or that the hub has."""

    name: str  # registry name
    model: ModelId
    params_b: float
    bits: int
    weight_bytes: int
    templates: str  # prompt template set
    revision: str = ""  # commit of the hub that they can be fetched by; empty for a folder's
    endpoint: str = ""  # URL of the server that has it: nobody has seen these weights, `model` says how it answers
    remote: str = ""  # what that server calls it

    @property
    def provenance(self) -> dict[str, str | None]:
        """How provenance names it. A server's weights have no hash that anybody could check."""
        if not self.endpoint:
            return {"model": self.name, "model_sha256": self.model}
        return {
            "model": self.name,
            "model_sha256": None,
            "endpoint": self.endpoint,
            "remote": self.remote,
            "weights": "unverified",
            "answers_sha256": self.model,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """A source by content. The name is for people and provenance; it is never opened."""

    name: str
    sha256: Sha256
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """Everything a job's rows depend on, and how it was asked for."""

    job_id: str
    request: str
    data_type: DataType
    skill: str
    roles: dict[Role, ModelPin]
    template_versions: dict[str, str]  # template id -> version, of every set in use
    sources: tuple[SourceSpec, ...]
    data: SourceSpec | None = None  # rows to begin with (`--from-data`) instead of sources
    columns: dict[str, str] = field(default_factory=dict[str, str])  # `--map`: our field -> their column
    eval_sets: tuple[SourceSpec, ...] = ()  # what no row may hold
    earlier: Sha256 | None = None  # rows of the job to append to, JSON lines: none of them is made again
    drops: tuple[str, ...] = ()  # conditions of `drop`: what they hold for is no row of this job
    judges: tuple[ModelPin, ...] = ()  # further judges beside the one in the role
    thinking: dict[Role, Thinking] = field(default_factory=dict[Role, Thinking])
    suites: Sha256  # regression suites, JSON lines
    replay: Sha256 | None = None  # rows of earlier tasks, JSON lines
    count: int | None = None  # rows wanted at most
    seed: int = 0
    until: str | None = None
    pilot: PilotMode = "go_on"
    nodes: tuple[str, ...] = ()
    exclude_nodes: tuple[str, ...] = ()
    passages: int = 0  # in all sources: bounds the rows that a plan without a count is for
    thresholds: dict[str, str] = field(default_factory=dict[str, str])  # of every gate, as this version has them
    settings: dict[str, str] = field(default_factory=dict[str, str])
    overrides: dict[str, str] = field(default_factory=dict[str, str])  # gate metric -> reason
    created_unix_s: float
    folder_name: str
    realign_version: str

    @property
    def pins(self) -> tuple[ModelPin, ...]:
        """Every model that the job needs."""
        return (*self.roles.values(), *self.judges)

    @property
    def files(self) -> tuple[Sha256, ...]:
        """The contents that the job reads, wherever it runs."""
        given = (*self.sources, *self.eval_sets, *((self.data,) if self.data else ()))
        others = (self.suites, self.replay, self.earlier)
        return tuple(dict.fromkeys((*(file.sha256 for file in given), *filter(None, others))))

    @property
    def gate_settings(self) -> dict[str, str]:
        """The frozen thresholds with the job's own settings over them."""
        return {**self.thresholds, **self.settings}

    def thinking_of(self, role: Role) -> Thinking:
        """What becomes of a role's reasoning; off where nobody said."""
        return self.thinking.get(role, "off")

    def choice(self, key: str, default: str) -> str:
        """A `--set` value that is a word."""
        return self.settings.get(key, default)

    def setting(self, key: str, default: float) -> float:
        """A numeric `--set` value. Raises ValueError when it is no number."""
        return float(self.settings[key]) if key in self.settings else default


_converter = cattrs.Converter()


def to_json(value: object) -> str:
    """A frozen value as JSON text with sorted keys."""
    return json.dumps(_converter.unstructure(value), sort_keys=True, ensure_ascii=False)


def spec_from_json(text: str) -> JobSpec:
    """The spec in the text. Raises ValueError when there is none."""
    try:
        return _converter.structure(json.loads(text), JobSpec)
    except (cattrs.BaseValidationError, TypeError, KeyError) as error:
        message = "this is not a job spec that this version understands"
        raise ValueError(message) from error


def files_of(text: str) -> tuple[Sha256, ...]:
    """The contents that the job of this spec reads; none of a spec that this version can't read."""
    try:
        return spec_from_json(text).files
    except ValueError:
        return ()


def with_changes(
    spec: JobSpec,
    *,
    settings: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
    drops: Sequence[str] = (),
    count: int | None = None,
) -> JobSpec:
    """The spec with more settings, overridden gates or dropped rows, and another count where one is given."""
    return replace(
        spec,
        count=count or spec.count,
        settings={**spec.settings, **(settings or {})},
        overrides={**spec.overrides, **(overrides or {})},
        drops=tuple(dict.fromkeys((*spec.drops, *drops))),
    )
