"""The plan document: a plan as the JSON object that `plan --json` prints."""

from __future__ import annotations

from realign_planner.plan import Alternative, Nearest, Plan, PlannedGroup, PlannedModel, PlannedTraining, Prediction


def plan_document(plan: Plan) -> dict[str, object]:
    """The plan as values that any JSON writer takes. Times in seconds, sizes in bytes, shares summing to 1."""
    return {
        "data_type": plan.data_type,
        "skill": plan.skill,
        "confidence": plan.confidence,
        "ambiguous": plan.ambiguous,
        "alternatives_type": [
            {"data_type": data_type, "confidence": confidence} for data_type, confidence in plan.alternatives_type
        ],
        "model": {
            "name": plan.model_name,
            "params_b": plan.params_b,
            "active_params_b": plan.active_params_b,
            "bits": plan.bits,
            "bytes": plan.model_bytes,
        },
        "models": [_model(model) for model in (*plan.models, *plan.judges)],
        "fits": plan.fits,
        "strategy": plan.strategy,
        "nodes": [
            {
                "name": node.name,
                "share": node.share,
                "batch_size": node.batch_size,
                "examples_per_s": node.examples_per_s,
                "bytes": node.bytes,
            }
            for node in plan.nodes
        ],
        "standby": list(plan.standby),
        "backend": plan.backend,
        "parallelism": plan.parallelism,
        "group": plan.models[0].group and _group(plan.models[0].group),
        "training": plan.training and _training(plan.training),
        "count": plan.count,
        "predicted": None if plan.predicted is None else _prediction(plan.predicted),
        "reasons": list(plan.reasons),
        "alternatives": [_alternative(alternative) for alternative in plan.alternatives],
        "warnings": list(plan.warnings),
        "needs": None if plan.needs_bytes is None else {"bytes": plan.needs_bytes},
        "nearest": None if plan.nearest is None else _nearest(plan.nearest),
    }


def _model(model: PlannedModel) -> dict[str, object]:
    return {
        "role": model.role,
        "name": model.name,
        "repo": model.repo,
        "revision": model.revision,
        "bits": model.bits,
        "bytes": model.bytes,
        "on_nodes": list(model.on_nodes),
        "endpoint": model.endpoint or None,
        "strategy": model.strategy,
        "group": model.group and _group(model.group),
        "engines": 1 if model.group else len(model.nodes),
        "slots": model.group.cost.batch_size if model.group else sum(node.batch_size for node in model.nodes),
    }


def _group(group: PlannedGroup) -> dict[str, object]:
    cost = group.cost
    return {
        "backend": group.backend,
        "parallelism": group.parallelism,
        "examples_per_s": group.examples_per_s,
        "ranks": [
            {
                "rank": place,
                "node": rank.name,
                "share": rank.share,
                "layers": rank.layers and list(rank.layers),
                "bytes": rank.bytes,
            }
            for place, rank in enumerate(group.ranks)
        ],
        "step": {
            "batch_size": cost.batch_size,
            "compute_s": cost.compute_s,
            "waiting_s": cost.waiting_s,
            "collectives": cost.collectives,
            "message_s": cost.message_s,
        },
        "link": {"latency_s": cost.latency_s, "bytes_per_s": cost.bytes_per_s, "basis": cost.link_basis},
    }


def _training(training: PlannedTraining) -> dict[str, object]:
    return {
        "stage": training.stage,
        "nodes": list(training.nodes),
        "backend": training.backend,
        "examples_per_s": training.examples_per_s,
        "alone_s": training.alone_s,
        "group_s": training.group_s,
        "gain": training.gain,
        "gradient_bytes": training.gradient_bytes,
        "because": training.because,
    }


def _prediction(predicted: Prediction) -> dict[str, object]:
    return {
        "examples_per_s": predicted.examples_per_s,
        "makespan_s": predicted.makespan_s,
        "stages": [
            {
                "stage": stage.stage,
                "units": stage.units,
                "tokens": stage.tokens,
                "expected_s": stage.expected_s,
                "low_s": stage.low_s,
                "high_s": stage.high_s,
                "trainings": stage.trainings,
                "training_units": stage.training_units,
                "training_s": stage.training_s,
                "basis": stage.basis,
            }
            for stage in predicted.stages
        ],
    }


def _alternative(alternative: Alternative) -> dict[str, object]:
    predicted = None
    if alternative.examples_per_s is not None:
        predicted = {"examples_per_s": alternative.examples_per_s, "makespan_s": alternative.makespan_s}
    return {
        "strategy": alternative.strategy,
        "nodes": list(alternative.nodes),
        "predicted": predicted,
        "rejected_because": alternative.rejected_because,
    }


def _nearest(nearest: Nearest) -> dict[str, object]:
    return {
        "kind": nearest.kind,
        "bits": nearest.bits,
        "bytes": nearest.bytes,
        "strategy": nearest.strategy,
        "nodes": list(nearest.nodes),
        "text": nearest.text,
    }
