"""Cautions: what somebody should know before a plan is carried out."""

from __future__ import annotations

from collections.abc import Sequence

from realign_planner.choice import Choice
from realign_planner.data_types import DATA_TYPES, TITLES
from realign_planner.fit import gigabytes
from realign_planner.intent import CONFIDENCE_BOUND, Intent
from realign_planner.nodes import ClusterFacts
from realign_planner.plan import PlannedTraining, PlanRequest, Role
from realign_planner.stage import Stage
from realign_planner.volume import DEFAULT_COUNT


def cautions(
    request: PlanRequest,
    intent: Intent,
    cluster: ClusterFacts,
    *,
    choices: Sequence[tuple[Role, Choice]],
    untrained: str,
) -> tuple[str, ...]:
    """What to know before the plan is carried out. `untrained` says why the target cannot be trained, if so."""
    warnings: list[str] = []
    if intent.is_ambiguous:
        types = ", ".join(DATA_TYPES)
        warnings.append(
            f"The request does not clearly say which kind of data to make (confidence {intent.confidence:.2f}, below "
            f"{CONFIDENCE_BOUND}): {TITLES[intent.data_type]} is assumed; say --type, one of {types}."
        )
    if request.count is None and intent.count is None and request.passages is None:
        warnings.append(f"No count was given: the estimate is for {DEFAULT_COUNT:,} rows.")
    warnings.extend(f"{node.name} is paused and left out." for node in cluster.nodes if node.paused)
    for choice in {choice.model: choice for _, choice in choices}.values():
        warnings.extend(_model_warnings(choice, cluster))
    if untrained:
        warnings.append(untrained)
    return tuple(warnings)


def cannot_train(target: Choice, stages: Sequence[Stage], training: PlannedTraining | None) -> str:
    """Why a target that runs cannot be trained, or looked into; empty where it can be, or need not."""
    if target.model.endpoint:
        return (
            f"{target.model.name} is at {target.model.endpoint}, and a target is trained, scored and rendered by its "
            "weights: name a model of your own machines with --target."
        )
    before = next((index for index, stage in enumerate(stages) if stage.trains), None)
    if before is None or target.placement is None or target.placement.group is None or training is not None:
        return ""
    end = f", or end before the training with --until {stages[before - 1].name}" if before else ""
    return (
        "A model split over machines cannot be trained in this version, which needs a node that holds the whole model: "
        f"use fewer bits or a machine with more memory, so that the target fits one node{end}."
    )


def _model_warnings(choice: Choice, cluster: ClusterFacts) -> list[str]:
    model, placement = choice.model, choice.placement
    warnings: list[str] = []
    if model.endpoint:
        warnings.append(
            f"What {model.endpoint} has as {model.name} is unverified: nobody here has seen its weights; rows say so."
        )
    elif model.repo is None and model.templates == "standard" and "/" not in model.name:
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
    if placement.strategy == "sharded" and None in (model.supports_tensor, model.supports_pipeline):
        warnings.append(f"Whether {model.name} can be split over machines is not known from its name.")
    return warnings
