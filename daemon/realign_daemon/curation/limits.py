"""Limits: the thresholds of a job's gates, frozen with it at submit, and what this version has in their place."""

from __future__ import annotations

from collections.abc import Mapping

from realign_planner import thresholds
from realign_planner.data_types import DataType
from realign_planner.workflow import for_type


def limits_of(data_type: DataType) -> dict[str, str]:
    """This version's thresholds of the workflow's gates, as `--set` would write them."""
    found: dict[str, str] = {}
    for metric in sorted({metric for stage in for_type(data_type).stages for metric in stage.gates}):
        threshold = thresholds.threshold(metric)
        fields = ("high", "medium") if isinstance(threshold, thresholds.Tiered) else ("baseline",)
        found |= {f"{metric}.{name}": f"{getattr(threshold, name):g}" for name in (*fields, "min_n")}
    return found


def kept_limits(frozen: Mapping[str, str], data_type: DataType) -> dict[str, str]:
    """The frozen thresholds as far as this version knows them, and its own for gates that are new."""
    return {key: frozen.get(key, own) for key, own in limits_of(data_type).items()}


def changed_limits(frozen: Mapping[str, str], data_type: DataType, *, version: str) -> str:
    """What this version has in place of frozen thresholds, as one sentence; empty where there is nothing to say."""
    own = limits_of(data_type)
    changes = [f"{key} {frozen[key]}, now {own[key]}" for key in own if key in frozen and frozen[key] != own[key]]
    changes += [f"{key} {own[key]} is new" for key in own if key not in frozen]
    changes += [f"{key} {frozen[key]} is no more" for key in sorted(frozen) if key not in own]
    if not frozen or not changes:
        return ""
    return (
        f"the job is judged by the thresholds in its spec, and realign {version} has others ({'; '.join(changes)}): "
        "--set takes over those that you prefer"
    )
