"""Intake: turns a request into a frozen spec and a first plan, or into one sentence that says why not."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, cast, get_args

from realign_daemon.curation.colleague import Colleague, Holding, cluster_facts, holders
from realign_daemon.curation.fields import COLUMNS
from realign_daemon.curation.limits import kept_limits
from realign_daemon.curation.pins import Known, holding, offer_of, pin
from realign_daemon.curation.settings import check_settings
from realign_daemon.curation.spec import JobSpec, ModelPin, PilotMode, SourceSpec, Thinking
from realign_daemon.engine.api import ModelId, Sha256
from realign_daemon.errors import Ambiguous, BadInput, Full, NothingFits
from realign_planner.data_types import DATA_TYPES, TITLES, DataType, as_data_type
from realign_planner.document import plan_document
from realign_planner.model_config import ConfigFacts
from realign_planner.model_names import bits_stated
from realign_planner.models import UnknownModel
from realign_planner.plan import BadRequest, Plan, PlannedModel, PlanRequest, Role
from realign_planner.setbacks import NO_BARS, Bars
from realign_planner.strategy import make_plan
from realign_planner.volume import Volume, volume_of

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
    engine: str = ""  # URL of a server for the models that write and judge, and its model there
    engine_model: str = ""
    engine_templates: str = ""
    offered: tuple[Holding, ...] = ()  # weights that the hub has, or those of a frozen spec: they go before others
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

    @property
    def models(self) -> dict[ModelId, PlannedModel]:
        """Where each model runs."""
        pins = (*(self.roles[planned.role] for planned in self.plan.models), *self.judges)
        planned = (*self.plan.models, *self.plan.judges)
        return {pinned.model: one for pinned, one in zip(pins, planned, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """Data of this version that a job keeps to its end."""

    template_versions: dict[str, str]
    suites: Sha256
    replay: Sha256 | None


def prepare_plan(request: Request, colleagues: Sequence[Colleague], *, passages: int | None = None) -> Prepared:
    """The plan for a request on the living nodes and the weights for its roles.

    `passages` are those that the sources hold: the estimate is for as many as the job would ask about.

    Raises:
        BadInput: an unknown data type, model, node or stage, a count below one, or weights of other bits than wanted.
        NothingFits: no living node has the weights and they are not offered, or none has the memory, to train included.
    """
    prepared = draft(request, colleagues, passages=passages)
    _check_bits(request, prepared)
    if not prepared.plan.fits or prepared.plan.cannot_train:
        raise NothingFits(prepared.plan.cannot_train or "; ".join(prepared.plan.reasons))
    return prepared


def _check_bits(request: Request, prepared: Prepared) -> None:
    """Raises BadInput where weights do not have the bits that were asked for: the plan would be one for others."""
    wanted = request.bits or bits_stated(request.text)
    planned = prepared.models
    for pinned in (*prepared.roles.values(), *prepared.judges):
        if planned[pinned.model].bits == wanted != pinned.bits and not pinned.endpoint:
            aside = "" if request.bits else f"; give --bits {pinned.bits} if the request means other bits than these"
            raise BadInput(
                f"the weights of {pinned.name} have {pinned.bits} bits, not {wanted}, and nothing is converted "
                f"unasked: name a conversion of it to {wanted} bits, by its hub id or its folder{aside}"
            )


def draft(
    request: Request, colleagues: Sequence[Colleague], *, passages: int | None = None, bars: Bars = NO_BARS
) -> Prepared:
    """Like prepare_plan, whether or not all models fit. Each runs on nodes that have it, or have room for all.

    Raises:
        BadInput: as prepare_plan.
        NothingFits: no living node has the weights, and they are not offered or have no room on any disk.
    """
    wish = _wish(request)
    known = _known(request, colleagues)
    wanted = _wanted(wish, colleagues, known)
    roles: dict[Role, ModelPin] = {role: pin(*names, known) for role, names in wanted.items()}
    named = dict.fromkeys(pin(name, None, known) for name in request.judges)
    judges = tuple(one for one in named if one != roles["judge"])  # one that is named twice has one voice
    wish = replace(wish, judges=tuple(judge.name for judge in judges))
    pins = {names[0]: roles[role] for role, names in wanted.items()} | {judge.name: judge for judge in judges}
    plan = make_plan(
        replace(wish, passages=passages or None),
        cluster_facts(colleagues),
        configs=_configs(pins, known),
        holders={name: holders(colleagues, one, pins.values()) for name, one in pins.items()},
        bars=bars,
    )
    if isinstance(plan, UnknownModel | BadRequest):
        raise BadInput(plan.message)
    return Prepared(plan=plan, document=plan_document(plan), roles=roles, judges=judges)


def request_of(spec: JobSpec) -> Request:
    """The request that plans a frozen spec again: every role by the weights it is pinned to."""
    return Request(
        text=spec.request,
        data_type=spec.data_type,
        target=spec.roles["target"].name,
        generator=spec.roles["generator"].name,
        judge=spec.roles["judge"].name,
        judges=tuple(judge.name for judge in spec.judges),
        count=spec.count,
        seed=spec.seed,
        nodes=spec.nodes,
        exclude_nodes=spec.exclude_nodes,
        until=spec.until or "",
        data=spec.data,
        settings=spec.settings,
        offered=tuple(map(offer_of, spec.pins)),
    )


def volume(spec: JobSpec) -> Volume:
    """How much there is to do for a job."""
    return volume_of(
        count=spec.count,
        passages=max(spec.passages, 1),
        has_rows=spec.data is not None,
        samples=_samples(spec.settings),
    )


def missing(request: Request, colleagues: Sequence[Colleague]) -> tuple[str, ...]:
    """The hub ids of models that the request needs and that no living node has.

    Raises:
        BadInput: a name that is no model at all.
    """
    wish, known = _wish(request), _known(request, colleagues)
    wanted = [*_wanted(wish, colleagues, known).values(), *((name, None) for name in request.judges)]
    lacking = (repo or name for name, repo in wanted if holding(name, repo, known) is None)
    return tuple(dict.fromkeys(name for name in lacking if "/" in name))


def preview(request: Request, colleagues: Sequence[Colleague]) -> Plan:
    """The plan on the living nodes, whether or not weights are there or anything fits.

    Raises:
        BadInput: as prepare_plan.
    """
    wish, known = _wish(request), _known(request, colleagues)
    configs = _configs(_named(wish), known)
    plan = make_plan(wish, cluster_facts(colleagues), configs=configs, holders=_askers(configs, colleagues, known))
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


def _wanted(wish: PlanRequest, colleagues: Sequence[Colleague], known: Known) -> dict[Role, tuple[str, str | None]]:
    """The name for each role, and the hub id where the name settles it."""
    plan = make_plan(wish, cluster_facts(colleagues), configs=_configs(_named(wish), known))
    if isinstance(plan, UnknownModel | BadRequest):
        raise BadInput(plan.message)
    wanted = {planned.role: (planned.name, planned.repo) for planned in plan.models}
    return {role: wanted.get(role, wanted["target"]) for role in get_args(Role)}


def _named(wish: PlanRequest) -> tuple[str, ...]:
    """The models that the options name; those that the text names are not among them."""
    return tuple(filter(None, (wish.model, wish.target, wish.generator, wish.judge, *wish.judges)))


def _configs(names: Iterable[str], known: Known) -> dict[str, ConfigFacts]:
    """What is known of the models' sizes and shapes, which their names need not say."""
    found = {name: holding(name, None, known) for name in names}
    return {name: _config(one, known) for name, one in found.items() if one is not None}


def _askers(
    configs: Mapping[str, ConfigFacts], colleagues: Sequence[Colleague], known: Known
) -> dict[str, tuple[str, ...]]:
    """The nodes that may ask for the models of servers, by name: no other can get them."""
    found = {name: holding(name, None, known) for name, config in configs.items() if config.endpoint}
    return {
        name: tuple(one.facts.name for one in colleagues if held is not None and one.holds(held.model))
        for name, held in found.items()
    }


def _config(held: Holding, known: Known) -> ConfigFacts:
    copies = (one.shape for holdings in known for one in holdings if one.model == held.model)
    shape = next(filter(None, copies), None)
    return ConfigFacts(
        params_b=held.params_b,
        active_params_b=held.active_params_b,
        bits=held.bits,
        layers=shape and shape.layers,
        heads=shape and shape.heads,
        kv_heads=shape and shape.kv_heads,
        kv_values=shape and shape.kv_values,
        tensor=shape and shape.tensor,
        pipeline=shape and shape.pipeline,
        templates=held.templates,
        endpoint=held.endpoint,
    )


def _known(request: Request, colleagues: Sequence[Colleague]) -> Known:
    return (request.offered, *(colleague.holdings for colleague in colleagues))


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
        samples=_samples(request.settings),
        seed=request.seed,
    )


def _samples(settings: Mapping[str, str]) -> int | None:
    """How many samples the job takes of each question or problem; None where it does not say so, or not as a number."""
    text = settings.get("samples", "")
    return int(text) if text.isdecimal() and int(text) else None
