"""The strategy: a request and a cluster made into a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final, get_args

from realign_planner.catalogue import DEFAULT_MODEL
from realign_planner.choice import Choice, Rejected, choose
from realign_planner.data_types import DATA_TYPES, SKILLS, TITLES
from realign_planner.estimate import predict
from realign_planner.fit import gigabytes
from realign_planner.intent import CONFIDENCE_BOUND, Intent, detect
from realign_planner.model_names import bits_in
from realign_planner.models import ModelFacts, UnknownModel, describe
from realign_planner.nodes import ClusterFacts, NodeFacts
from realign_planner.placement import Placement
from realign_planner.plan import Alternative, BadRequest, Plan, PlannedModel, PlanRequest, Prediction, Role
from realign_planner.stage import Stage
from realign_planner.workflow import for_type

DEFAULT_COUNT: Final = 1_000  # rows, for the estimate, when neither option nor text says how many
ROLES: Final[tuple[Role, ...]] = get_args(Role)

_NO_CONFIGS: Final[Mapping[str, Mapping[str, object]]] = MappingProxyType({})

# Models, choices and placements go through here as pairs: one for each of ROLES, in that order, and one more as "judge"
# for every judge beside the one in that role.


def make_plan(
    request: PlanRequest,
    cluster: ClusterFacts,
    *,
    configs: Mapping[str, Mapping[str, object]] = _NO_CONFIGS,
) -> Plan | UnknownModel | BadRequest:
    """What would run where for a request, and how long it would take.

    `configs` are config.json contents by model name, for local folders. The same request and cluster give the same
    plan. A plan that does not fit is a plan too: strategy None, what it needs, and the nearest thing that would fit.
    """
    intent = detect(request.text)
    if request.data_type is not None:
        intent = intent.as_stated(request.data_type)
    nodes = _chosen_nodes(request, cluster)
    if isinstance(nodes, BadRequest):
        return nodes
    obstacle = _obstacle(request, intent)
    if obstacle is not None:
        return obstacle
    models = _models(request, intent, configs)
    if isinstance(models, UnknownModel):
        return models
    choices = {model: choose(model, nodes, cluster) for model in dict.fromkeys(model for _, model in models)}
    return _plan(request, intent, cluster, [(role, choices[model]) for role, model in models])


def _chosen_nodes(request: PlanRequest, cluster: ClusterFacts) -> tuple[NodeFacts, ...] | BadRequest:
    known = {node.name for node in cluster.nodes}
    for name in (*request.nodes, *request.exclude_nodes):
        if name not in known:
            return BadRequest(
                message=f"There is no node {name!r} in this cluster; its nodes are {', '.join(sorted(known))}."
            )
    wanted = (set(request.nodes) or known) - set(request.exclude_nodes)
    if not wanted:
        return BadRequest(message="--nodes and --exclude-node leave no node; exclude fewer.")
    return tuple(node for node in cluster.nodes if node.name in wanted and not node.paused)


def _obstacle(request: PlanRequest, intent: Intent) -> BadRequest | None:
    if request.count is not None and request.count < 1:
        return BadRequest(message=f"A job of {request.count} rows makes nothing; give --count 1 or more.")
    workflow = for_type(intent.data_type)
    if request.until is not None and workflow.stage_index(request.until) is None:
        names = ", ".join(stage.name for stage in workflow.stages)
        title = TITLES[intent.data_type]
        return BadRequest(message=f"The {title} workflow has no stage {request.until!r}; its stages are {names}.")
    if not workflow.ahead(request.until, has_rows=request.has_rows):
        return BadRequest(
            message=f"--until {request.until} ends before {workflow.entry}, where rows that you have come in; "
            "name that stage or a later one."
        )
    return None


def _models(
    request: PlanRequest, intent: Intent, configs: Mapping[str, Mapping[str, object]]
) -> list[tuple[Role, ModelFacts]] | UnknownModel:
    target = request.target or request.model or intent.model_name or DEFAULT_MODEL
    names: list[tuple[Role, str]] = [
        ("target", target),
        ("generator", request.generator or request.model or intent.generator_name or target),
        ("judge", request.judge or request.model or intent.judge_name or target),
        *(("judge", name) for name in request.judges),
    ]
    models: list[tuple[Role, ModelFacts]] = []
    for role, name in names:
        bits = request.bits if request.bits is not None or bits_in(name) is not None else intent.bits
        described = describe(name, bits=bits, config=configs.get(name))
        if isinstance(described, UnknownModel):
            return described
        if len(models) < len(ROLES) or (role, described) not in models:  # a judge that is named twice has one voice
            models.append((role, described))
    return models


def _plan(request: PlanRequest, intent: Intent, cluster: ClusterFacts, choices: Sequence[tuple[Role, Choice]]) -> Plan:
    count = request.count or intent.count or DEFAULT_COUNT
    stages = (
        for_type(intent.data_type)
        .judged_by(len(choices) - len(ROLES) + 1)
        .ahead(request.until, has_rows=request.has_rows)
    )
    placements: list[tuple[Role, Placement]] = [
        (role, choice.placement) for role, choice in choices if choice.placement is not None
    ]
    predicted = _predict(stages, count, placements) if len(placements) == len(choices) else None
    shown = choices[0][1] if predicted else next(choice for _, choice in choices if choice.placement is None)
    placement = shown.placement if predicted else None
    target = choices[0][1].model
    planned = tuple(_planned_model(role, choice) for role, choice in choices)
    return Plan(
        data_type=intent.data_type,
        skill=SKILLS[intent.data_type],
        confidence=intent.confidence,
        alternatives_type=intent.alternatives,
        ambiguous=intent.is_ambiguous,
        model_name=target.name,
        params_b=target.params_b,
        active_params_b=target.active_params_b,
        bits=target.bits,
        model_bytes=target.weight_bytes,
        models=planned[: len(ROLES)],
        judges=planned[len(ROLES) :],
        strategy=placement.strategy if placement else None,
        nodes=placement.nodes if placement else (),
        standby=shown.standby,
        backend=placement.backend if placement else None,
        parallelism=placement.parallelism if placement else None,
        count=count,
        predicted=predicted,
        reasons=_reasons(request, intent, choices, shown),
        alternatives=tuple(
            _alternative(rejected, stages, count, placements if predicted else ()) for rejected in shown.rejected
        ),
        warnings=_warnings(request, intent, cluster, stages=stages, choices=choices),
        needs_bytes=None if predicted else shown.model.needed_bytes(),
        nearest=None if predicted else shown.nearest,
    )


def _planned_model(role: Role, choice: Choice) -> PlannedModel:
    model = choice.model
    return PlannedModel(
        role=role,
        name=model.name,
        repo=model.repo,
        revision=None,
        bits=model.bits,
        bytes=model.weight_bytes,
        on_nodes=choice.placement.names if choice.placement else (),
    )


def _alternative(
    rejected: Rejected, stages: Sequence[Stage], count: int, placements: Sequence[tuple[Role, Placement]]
) -> Alternative:
    """`placements` are those of the plan; empty where it has none."""
    other: Prediction | None = None
    if rejected.placement is not None and placements:
        same = placements[0][1]
        swapped: list[tuple[Role, Placement]] = [
            (role, rejected.placement if kept == same else kept) for role, kept in placements
        ]
        other = _predict(stages, count, swapped)
    return Alternative(
        strategy=rejected.strategy,
        nodes=rejected.nodes,
        examples_per_s=other.examples_per_s if other else None,
        makespan_s=other.makespan_s if other else None,
        rejected_because=rejected.because,
    )


def _predict(stages: Sequence[Stage], count: int, placements: Sequence[tuple[Role, Placement]]) -> Prediction:
    return predict(
        stages, count, {role: _in_turn([placement for one, placement in placements if one == role]) for role in ROLES}
    )


def _in_turn(placements: Sequence[Placement]) -> Placement:
    """The first placement with the speeds of all, when as many units are done on each, one after the other."""
    return replace(
        placements[0],
        examples_per_s=len(placements) / sum(1 / placement.examples_per_s for placement in placements),
        basis="measured" if all(placement.basis == "measured" for placement in placements) else "prior",
    )


def _reasons(
    request: PlanRequest, intent: Intent, choices: Sequence[tuple[Role, Choice]], shown: Choice
) -> tuple[str, ...]:
    model = shown.model
    role = next(role for role, choice in choices if choice is shown)
    meant = f", taken as {model.repo}," if model.repo and model.repo != model.name else ""
    default = not (request.model or request.target or intent.model_name)
    named = " (the default: the request names no model)" if default and role == "target" else ""
    size = (
        f"The {role} {model.name}{meant}{named} has {model.params_b:g}B parameters at {model.bits} bits: "
        f"{gigabytes(model.weight_bytes)} of weights and {gigabytes(model.kv_bytes())} of cache a sequence."
    )
    elsewhere = tuple(
        f"The {other} {choice.model.name} runs on {', '.join(choice.placement.names)} ({choice.placement.strategy})."
        for other, choice in choices
        if choice.placement is not None and choice.model != model
    )
    return (*intent.reasons, size, *shown.reasons, *elsewhere)


def _warnings(
    request: PlanRequest,
    intent: Intent,
    cluster: ClusterFacts,
    *,
    stages: Sequence[Stage],
    choices: Sequence[tuple[Role, Choice]],
) -> tuple[str, ...]:
    warnings: list[str] = []
    if intent.is_ambiguous:
        types = ", ".join(DATA_TYPES)
        warnings.append(
            f"The request does not clearly say which kind of data to make (confidence {intent.confidence:.2f}, below "
            f"{CONFIDENCE_BOUND}): {TITLES[intent.data_type]} is assumed; say --type, one of {types}."
        )
    if request.count is None and intent.count is None:
        warnings.append(f"No count was given: the estimate is for {DEFAULT_COUNT:,} rows.")
    warnings.extend(f"{node.name} is paused and left out." for node in cluster.nodes if node.paused)
    for choice in {choice.model: choice for _, choice in choices}.values():
        warnings.extend(_model_warnings(choice, cluster, stages=stages, is_target=choice is choices[0][1]))
    return tuple(warnings)


def _model_warnings(choice: Choice, cluster: ClusterFacts, *, stages: Sequence[Stage], is_target: bool) -> list[str]:
    model, placement = choice.model, choice.placement
    warnings: list[str] = []
    if model.repo is None and model.templates == "standard" and "/" not in model.name:
        warnings.append(f"{model.name!r} does not say which weights; name a hub id or a folder before submitting.")
    if placement is None:
        return warnings
    if placement.basis == "prior":
        warnings.append(
            f"Speeds of {model.name} are not measured on all of its nodes: run `realignctl bench` for a firm estimate."
        )
    facts = {node.name: node for node in cluster.nodes}
    names = {model.name.lower(), (model.repo or model.name).lower()}
    for name in placement.names:
        disk = facts[name].on_disk
        if disk is not None and not any({entry.name.lower(), (entry.repo or "").lower()} & names for entry in disk):
            warnings.append(
                f"{name} does not have {model.name}: {gigabytes(model.weight_bytes)} would have to be fetched first."
            )
    if placement.strategy == "sharded":
        if model.supports_tensor is None or model.supports_pipeline is None:
            warnings.append(f"Whether {model.name} can be split over machines is not known from its name.")
        if is_target and any(stage.trains for stage in stages):
            before = next(index for index, stage in enumerate(stages) if stage.trains)
            end = f", or end before the training with --until {stages[before - 1].name}" if before else ""
            warnings.append(
                "A model split over machines cannot be trained in this version: use fewer bits or a machine with more "
                f"memory, so that the target fits one node{end}."
            )
    return warnings
