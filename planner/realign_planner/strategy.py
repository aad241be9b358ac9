"""The strategy: a request and a cluster made into a plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final, get_args

from realign_planner.catalogue import DEFAULT_MODEL
from realign_planner.cautions import cannot_train, cautions
from realign_planner.choice import Choice, Rejected, choose
from realign_planner.data_types import SKILLS, TITLES
from realign_planner.estimate import predict
from realign_planner.fit import fits, gigabytes
from realign_planner.intent import Intent, detect
from realign_planner.model_config import ConfigFacts
from realign_planner.model_names import bits_in
from realign_planner.models import ModelFacts, UnknownModel, describe
from realign_planner.nodes import ClusterFacts, NodeFacts
from realign_planner.placement import Placement
from realign_planner.plan import (
    Alternative,
    BadRequest,
    Plan,
    PlannedModel,
    PlannedTraining,
    PlanRequest,
    Prediction,
    Role,
)
from realign_planner.setbacks import NO_BARS, Bars
from realign_planner.stage import Stage
from realign_planner.training import plan_training
from realign_planner.volume import Volume, volume_of
from realign_planner.workflow import for_type

ROLES: Final[tuple[Role, ...]] = get_args(Role)

_NO_CONFIGS: Final[Mapping[str, Mapping[str, object] | ConfigFacts]] = MappingProxyType({})
_NO_HOLDERS: Final[Mapping[str, Collection[str]]] = MappingProxyType({})

# Models, choices and placements go through here as pairs: one for each of ROLES, in that order, and one more as "judge"
# for every judge beside the one in that role.


def make_plan(
    request: PlanRequest,
    cluster: ClusterFacts,
    *,
    configs: Mapping[str, Mapping[str, object] | ConfigFacts] = _NO_CONFIGS,
    holders: Mapping[str, Collection[str]] = _NO_HOLDERS,
    bars: Bars = NO_BARS,
) -> Plan | UnknownModel | BadRequest:
    """What would run where for a request, and how long it would take.

    `configs` are config.json contents, or what is known of them, by model name. `holders` are the nodes that may run a
    model, by its name; every node may run one that is not named there. `bars` say which groups may not be formed. The
    same request and facts give the same plan. A plan that does not fit is a plan too: strategy None, what it needs, and
    the nearest thing that would fit.
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
    able = {
        model: [node for node in nodes if model.name not in holders or node.name in holders[model.name]]
        for model in dict.fromkeys(model for _, model in models)
    }
    choices = {model: choose(model, those, cluster, bars) for model, those in able.items()}
    target = models[0][1]
    training = plan_training(
        _stages(request, intent, judges=len(models) - len(ROLES) + 1),
        _volume(request, intent),
        model=target,
        holders=[node for node in able[target] if fits(target, node) and not target.endpoint],
        cluster=cluster,
        bars=bars,
    )
    return _plan(request, intent, cluster, [(role, choices[model]) for role, model in models], training)


def _stages(request: PlanRequest, intent: Intent, *, judges: int) -> tuple[Stage, ...]:
    return for_type(intent.data_type).judged_by(judges).ahead(request.until, has_rows=request.has_rows)


def _volume(request: PlanRequest, intent: Intent) -> Volume:
    return volume_of(
        count=request.count or intent.count,
        passages=request.passages,
        has_rows=request.has_rows,
        samples=request.samples,
    )


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
    request: PlanRequest, intent: Intent, configs: Mapping[str, Mapping[str, object] | ConfigFacts]
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


def _plan(
    request: PlanRequest,
    intent: Intent,
    cluster: ClusterFacts,
    choices: Sequence[tuple[Role, Choice]],
    training: PlannedTraining | None,
) -> Plan:
    volume = _volume(request, intent)
    stages = _stages(request, intent, judges=len(choices) - len(ROLES) + 1)
    placements: list[tuple[Role, Placement]] = [
        (role, _trained(choice.placement, training)) for role, choice in choices if choice.placement is not None
    ]
    predicted = _predict(stages, volume, placements) if len(placements) == len(choices) else None
    shown = choices[0][1] if predicted else next(choice for _, choice in choices if choice.placement is None)
    placement = shown.placement if predicted else None
    target = choices[0][1].model
    untrained = cannot_train(choices[0][1], stages, training)
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
        training=training if predicted else None,
        count=request.count or intent.count or volume.rows,
        predicted=predicted,
        reasons=_reasons(request, intent, choices, shown),
        alternatives=tuple(
            _alternative(rejected, stages, volume, placements if predicted else ()) for rejected in shown.rejected
        ),
        cannot_train=untrained,
        warnings=cautions(request, intent, cluster, choices=choices, untrained=untrained),
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
        endpoint=model.endpoint,
        strategy=choice.placement.strategy if choice.placement else None,
        nodes=choice.placement.nodes if choice.placement else (),
        group=choice.placement.group if choice.placement else None,
    )


def _trained(placement: Placement, training: PlannedTraining | None) -> Placement:
    """The target's placement with the speed at which it is trained, by whomever."""
    return placement if training is None else replace(placement, training_examples_per_s=training.examples_per_s)


def _alternative(
    rejected: Rejected, stages: Sequence[Stage], volume: Volume, placements: Sequence[tuple[Role, Placement]]
) -> Alternative:
    """`placements` are those of the plan; empty where it has none."""
    other: Prediction | None = None
    if rejected.placement is not None and placements:
        same = placements[0][1]
        swapped: list[tuple[Role, Placement]] = [
            (role, rejected.placement if kept == same else kept) for role, kept in placements
        ]
        other = _predict(stages, volume, swapped)
    return Alternative(
        strategy=rejected.strategy,
        nodes=rejected.nodes,
        examples_per_s=other.examples_per_s if other else None,
        makespan_s=other.makespan_s if other else None,
        rejected_because=rejected.because,
    )


def _predict(stages: Sequence[Stage], volume: Volume, placements: Sequence[tuple[Role, Placement]]) -> Prediction:
    return predict(
        stages, volume, {role: _in_turn([placement for one, placement in placements if one == role]) for role in ROLES}
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
        f"The {other} {choice.model.name}"
        + (
            f": {' '.join(choice.reasons)}"
            if choice.model.endpoint
            else f" runs on {', '.join(choice.placement.names)} ({choice.placement.strategy})."
        )
        for other, choice in choices
        if choice.placement is not None and choice.model != model
    )
    return (*intent.reasons, size, *shown.reasons, *elsewhere)
