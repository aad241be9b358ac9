"""Retry: what is asked of another run of a job that has ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from realign_daemon.curation.limits import kept_limits
from realign_daemon.curation.settings import check_settings, split_count
from realign_daemon.curation.spec import JobSpec, with_changes
from realign_daemon.errors import BadInput
from realign_planner.workflow import for_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """The spec of the other run, and the stages whose given up units are tried again."""

    spec: JobSpec
    stages: tuple[str, ...]


def retried(spec: JobSpec, *, settings: Mapping[str, str], override: str, reason: str, from_stage: str) -> Retried:
    """What becomes of the job with these changes.

    Raises:
        BadInput: an override without a reason, or a gate or stage that does not exist, or a useless setting.
    """
    count, settings = split_count(dict(settings))
    workflow = for_type(spec.data_type)
    stages = tuple(stage.name for stage in workflow.stages)
    if from_stage and from_stage not in stages:
        raise BadInput(f"there is no stage {from_stage!r}; the stages are {', '.join(stages)}")
    gates = [metric for stage in workflow.stages for metric in stage.gates]
    if override and (override not in gates or not reason):
        raise BadInput(f"an override needs a gate of this workflow ({', '.join(gates)}) and a --reason")
    limits = kept_limits(spec.thresholds, spec.data_type)
    check_settings({**limits, **settings})
    overrides = {override: reason} if override else {}
    changed = with_changes(replace(spec, thresholds=limits), settings=settings, overrides=overrides, count=count)
    return Retried(spec=changed, stages=stages[stages.index(from_stage) :] if from_stage else stages)
