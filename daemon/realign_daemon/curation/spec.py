"""Job spec: a job as it was frozen at submit. An upgrade, a new model or a new template set cannot change it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import cattrs

from realign_daemon.engine.api import ModelId, Sha256
from realign_planner.data_types import DataType
from realign_planner.plan import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPin:
    """A role's model, resolved to weights that are on some node."""

    name: str  # registry name
    model: ModelId
    params_b: float
    bits: int
    weight_bytes: int
    templates: str  # prompt template set


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
    suites: Sha256  # regression suites, JSON lines
    replay: Sha256 | None = None  # rows of earlier tasks, JSON lines
    count: int | None = None  # rows wanted at most
    seed: int = 0
    until: str | None = None
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
    def gate_settings(self) -> dict[str, str]:
        """The frozen thresholds with the job's own settings over them."""
        return {**self.thresholds, **self.settings}

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


def with_changes(spec: JobSpec, *, settings: Mapping[str, str], overrides: Mapping[str, str]) -> JobSpec:
    """The spec with more settings and overridden gates, as a retry asks for."""
    plain = _converter.unstructure(spec)
    plain["settings"] = {**spec.settings, **settings}
    plain["overrides"] = {**spec.overrides, **overrides}
    return _converter.structure(plain, JobSpec)
