"""Intake: turns a request into a frozen spec and a first plan, or into one sentence that says why not."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, cast, get_args

from realign_daemon.curation.colleague import Colleague, Holding, cluster_facts
from realign_daemon.curation.fields import COLUMNS
from realign_daemon.curation.limits import kept_limits
from realign_daemon.curation.settings import check_settings
from realign_daemon.curation.spec import JobSpec, ModelPin, PilotMode, SourceSpec, Thinking
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import Ambiguous, BadInput, Full, NothingFits
from realign_planner.data_types import DATA_TYPES, TITLES, DataType, as_data_type
from realign_planner.document import plan_document
from realign_planner.models import UnknownModel
from realign_planner.plan import BadRequest, Plan, PlanRequest, Role
from realign_planner.strategy import make_plan

WRITERS: tuple[Role, ...] = ("target", "generator")  # judges fill forms, which leave no room for reasoning
STEM_LENGTH = 60  # of a source's name in the output folder's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asked for, as it came."""

    text: str
    data_type: str = ""
    model: str = ""
    target: str = ""
    generator: str = ""
    judge: str = ""
    bits: int | None = None
    count: int | None = None
    seed: int = 0
    nodes: tuple[str, ...] = ()
    exclude_nodes: tuple[str, ...] = ()
    until: str = ""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    sources: tuple[SourceSpec, ...] = ()
    data: SourceSpec | None = None
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    eval_sets: tuple[SourceSpec, ...] = ()
    earlier: Sha256 | None = None  # what the rows of the job to append to ask
    drops: tuple[str, ...] = ()  # of a printed spec, as are the overrides and thresholds
    thresholds: Mapping[str, str] = field(default_factory=dict[str, str])
    overrides: Mapping[str, str] = field(default_factory=dict[str, str])
    judges: tuple[str, ...] = ()  # beside the one in the role
    thinking: Mapping[str, str] = field(default_factory=dict[str, str])
    pilot: str = ""
    client_token: str = ""
    assume_yes: bool = False
    output_hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request that can run: everything but the job's identity."""

    plan: Plan
    document: dict[str, Any]
    roles: dict[Role, ModelPin]
    judges: tuple[ModelPin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """Data of this version that a job keeps to its end."""

    template_versions: dict[str, str]
    suites: Sha256
    replay: Sha256 | None


def prepare_plan(request: Request, colleagues: Sequence[Colleague], *, passages: int | None = None) -> Prepared:
    """The plan for a request on the living nodes and the weights for its roles.

    Without a count, `passages` bounds the rows that the estimate is for: one passage gives one row at most.

    Raises:
        BadInput: an unknown data type, model, node or stage, or a count below one.
        NothingFits: no living node has the weights, or none has the memory.
    """
    wish = _wish(request)
    roles = resolve_roles(wish, colleagues)
    named = dict.fromkeys(_pin(name, None, colleagues) for name in request.judges)
    judges = tuple(pin for pin in named if pin != roles["judge"])  # one that is named twice has one voice
    wish = replace(wish, judges=tuple(pin.name for pin in judges))
    facts = cluster_facts(colleagues, needs=[pin.model for pin in (*roles.values(), *judges)])
    plan = make_plan(wish if wish.count or not passages else replace(wish, count=passages), facts)
    if isinstance(plan, UnknownModel | BadRequest):
        raise BadInput(plan.message)
    if not plan.fits:
        raise NothingFits("; ".join(plan.reasons))
    return Prepared(plan=plan, document=plan_document(plan), roles=roles, judges=judges)


def request_of(spec: JobSpec) -> Request:
    """The request that plans a frozen spec again: every role by the weights it is pinned to."""
    return Request(
        text=spec.request,
        data_type=spec.data_type,
        target=spec.roles["target"].name,
        generator=spec.roles["generator"].name,
        judge=spec.roles["judge"].name,
        judges=tuple(pin.name for pin in spec.judges),
        count=spec.count,
        seed=spec.seed,
        nodes=spec.nodes,
        exclude_nodes=spec.exclude_nodes,
        until=spec.until or "",
        data=spec.data,
    )


def preview(request: Request, colleagues: Sequence[Colleague]) -> Plan:
    """The plan on the living nodes, whether or not weights are there or anything fits.

    Raises:
        BadInput: as prepare_plan.
    """
    plan = make_plan(_wish(request), cluster_facts(colleagues, needs=()))
    if isinstance(plan, UnknownModel | BadRequest):
        raise BadInput(plan.message)
    return plan


def check(request: Request, plan: Plan, *, runnable: Collection[DataType]) -> None:
    """Raises BadInput or Ambiguous when the request may not become a job."""
    if plan.ambiguous and not request.data_type and not request.assume_yes:
        choices = ", ".join(TITLES[data_type] for data_type in DATA_TYPES)
        message = f"the request does not say which data to make ({choices}); name one with --type, or accept with --yes"
        raise Ambiguous(message)
    if plan.data_type not in runnable:
        message = f"the {TITLES[plan.data_type]} workflow can be planned but not run by this version; use --type dpo"
        raise BadInput(message)
    check_settings({**kept_limits(request.thresholds, plan.data_type), **request.settings})
    if not request.sources and request.data is None:
        message = "the request names no source; give at least one file with --source"
        raise BadInput(message)
    if request.sources and request.data is not None:
        message = "--from-data and --source exclude each other: rows that you have come without documents; give one"
        raise BadInput(message)
    _check_words("--map", request.columns, tuple(COLUMNS), None)
    _check_words("--thinking", request.thinking, WRITERS, get_args(Thinking))
    if request.pilot not in ("", *get_args(PilotMode)):
        message = f"what should follow the pilot is {request.pilot!r}; give one of {', '.join(get_args(PilotMode))}"
        raise BadInput(message)


def check_units(plan: Plan, *, most: int) -> None:
    """Raises Full when the job would have more units than this node takes."""
    units = sum(stage.units for stage in plan.predicted.stages) if plan.predicted else plan.count
    if units > most:
        message = f"the job would have {units} units, and this node takes {most}; ask for fewer rows with --count"
        raise Full(message)


def _check_words(option: str, given: Mapping[str, str], keys: Sequence[str], values: Sequence[str] | None) -> None:
    for key, value in given.items():
        if key not in keys or (values is not None and value not in values):
            right = f"one of {', '.join(keys)}, then " + (f"one of {', '.join(values)}" if values else "a column")
            message = f"{option} {key}={value} is not understood; give {right}"
            raise BadInput(message)


def freeze(
    request: Request,
    prepared: Prepared,
    *,
    job_id: str,
    now_unix_s: float,
    version: str,
    frozen: Frozen,
    passages: int,
) -> JobSpec:
    """The spec of a prepared request."""
    plan = prepared.plan
    return JobSpec(
        job_id=job_id,
        request=request.text,
        data_type=plan.data_type,
        skill=plan.skill,
        roles=prepared.roles,
        template_versions=frozen.template_versions,
        sources=request.sources,
        data=request.data,
        columns=dict(request.columns),
        eval_sets=request.eval_sets,
        earlier=request.earlier,
        drops=request.drops,
        overrides=dict(request.overrides),
        judges=prepared.judges,
        thinking=cast("dict[Role, Thinking]", dict(request.thinking)),
        pilot=cast("PilotMode", request.pilot or "go_on"),
        suites=frozen.suites,
        replay=frozen.replay,
        count=request.count,
        seed=request.seed,
        until=request.until or None,
        nodes=request.nodes,
        exclude_nodes=request.exclude_nodes,
        passages=passages,
        thresholds=kept_limits(request.thresholds, plan.data_type),
        settings=dict(request.settings),
        created_unix_s=now_unix_s,
        folder_name=_plain_name(request.output_hint)
        or folder_name(plan.data_type, next(one.name for one in (*request.sources, request.data) if one), now_unix_s),
        realign_version=version,
    )


def folder_name(data_type: DataType, source: str, now_unix_s: float) -> str:
    """`{type}_{source stem}_{YYYYMMDD}`, UTC, with nothing in it that a file system minds."""
    stem = _plain_name(PurePath(source).stem) or "source"
    day = dt.datetime.fromtimestamp(now_unix_s, tz=dt.UTC).strftime("%Y%m%d")
    return f"{data_type}_{stem}_{day}"


def _plain_name(text: str) -> str:
    """The text as one part of a path that can lead nowhere else; empty when nothing is left of it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._")[:STEM_LENGTH]


def resolve_roles(wish: PlanRequest, colleagues: Sequence[Colleague]) -> dict[Role, ModelPin]:
    """The weights for each role.

    Raises:
        BadInput: a name that is no model at all.
        NothingFits: a model that no living node holds.
    """
    plan = make_plan(wish, cluster_facts(colleagues, needs=()))
    if isinstance(plan, UnknownModel | BadRequest):
        raise BadInput(plan.message)
    wanted = {planned.role: (planned.name, planned.repo) for planned in plan.models}
    target = wanted["target"]
    return {role: _pin(*wanted.get(role, target), colleagues) for role in get_args(Role)}


def _pin(name: str, repo: str | None, colleagues: Sequence[Colleague]) -> ModelPin:
    holding = _holding(name, repo, colleagues)
    if holding is None:
        weights = repo or name
        message = (
            f"no living node has the weights of {weights}; download them on one (hf download {weights}), "
            "or put the folder under [models] dirs, or try --model pocket"
        )
        raise NothingFits(message)
    return ModelPin(
        name=holding.name,
        model=holding.model,
        params_b=holding.params_b,
        bits=holding.bits,
        weight_bytes=holding.weight_bytes,
        templates=holding.templates,
    )


def _holding(name: str, repo: str | None, colleagues: Sequence[Colleague]) -> Holding | None:
    """The model by name, hub id or last part of either; where nodes differ, the weights that most nodes hold."""
    asked = {text.lower() for text in (name, repo or name, PurePath(name).name)}
    found: dict[str, list[Holding]] = {}
    for colleague in colleagues:
        for holding in colleague.holdings:
            if {holding.name.lower(), PurePath(holding.name).name.lower()} & asked:
                found.setdefault(holding.model, []).append(holding)
    return max(found.values(), key=lambda copies: (len(copies), copies[0].model))[0] if found else None


def _wish(request: Request) -> PlanRequest:
    data_type = as_data_type(request.data_type) if request.data_type else None
    if request.data_type and data_type is None:
        message = f"{request.data_type!r} is not a type of data; use one of {', '.join(DATA_TYPES)}"
        raise BadInput(message)
    if request.count is not None and request.count < 1:
        message = f"a job of {request.count} rows is none; give --count at least 1"
        raise BadInput(message)
    return PlanRequest(
        text=request.text,
        data_type=data_type,
        model=request.model or None,
        target=request.target or None,
        generator=request.generator or None,
        judge=request.judge or None,
        judges=request.judges,
        bits=request.bits,
        count=request.count,
        nodes=request.nodes,
        exclude_nodes=request.exclude_nodes,
        until=request.until or None,
        has_rows=request.data is not None,
        seed=request.seed,
    )
