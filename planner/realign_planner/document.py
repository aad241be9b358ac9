"""The plan document: a plan as the JSON object that `plan --json` prints."""

from __future__ import annotations

from realign_planner.plan import Alternative, Nearest, Plan, PlannedModel, Prediction


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
