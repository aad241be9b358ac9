"""Self-test: every kind of defect planted in a copy of what a job made, and whether the workflow's checks found it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import structlog

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.run import WORK
from realign_daemon.curation.selftest import outputs
from realign_daemon.curation.selftest.antihallucination import (
    of_behaviour,
    of_calibration,
    of_confidence,
    of_probing,
    of_refusing,
)
from realign_daemon.curation.selftest.defect import Check, Defect
from realign_daemon.curation.selftest.preference import of_contest, of_judges, of_pairs, of_preference_training
from realign_daemon.curation.selftest.rlvr import (
    of_control,
    of_gain,
    of_problems,
    of_rewarded_training,
    of_rewards,
    of_verification,
)
from realign_daemon.curation.selftest.rows import of_rows
from realign_daemon.curation.selftest.sft import of_answers, of_deployment, of_form, of_knowledge, of_learning
from realign_daemon.curation.selftest.sources import of_sources
from realign_daemon.curation.selftest.training import forgetting, of_training
from realign_daemon.curation.selftest.trial import Trial, sampled, trial
from realign_planner.data_types import DataType

log = structlog.get_logger()

Document = dict[str, Any]

DEFECTS: Final[Mapping[DataType, Sequence[Defect]]] = {
    "dpo": (
        *of_sources("sft_baseline"),
        outputs.empty("generate_responses"),
        outputs.truncated("generate_responses"),
        outputs.repeated("generate_responses"),
        *of_judges("score_pairs"),
        *of_pairs("validate_gaps"),
        *of_rows("validate_gaps"),
        *of_training("train_dpo"),
        *of_preference_training("train_dpo"),
        of_contest("evaluate"),
        forgetting("monitor_regression"),
    ),
    "sft": (
        *of_sources("data_prep"),
        outputs.empty("data_prep"),
        outputs.truncated("data_prep"),
        *of_answers("quality_filter"),
        *of_rows("quality_filter"),
        *of_form("format_conversion"),
        *of_training("train"),
        of_learning("validate"),
        of_knowledge("evaluate"),
        forgetting("evaluate"),
        *of_deployment("deploy"),
    ),
    "rlvr": (
        *of_sources("problem_extraction"),
        *of_problems("problem_extraction"),
        outputs.empty("solution_generation"),
        outputs.truncated("solution_generation"),
        outputs.repeated("solution_generation"),
        of_verification("verification"),
        *of_rewards("reward_calculation"),
        *of_rows("reward_calculation"),
        *of_rewarded_training("training"),
        of_control("validation"),
        of_gain("evaluation"),
        forgetting("evaluation"),
    ),
    "antihallucination": (
        *of_sources("refusal_data_generation"),
        *of_probing("uncertainty_calibration"),
        *of_confidence("confidence_scoring"),
        *of_rows("confidence_scoring"),
        *of_training("training"),
        *of_calibration("calibration"),
        *of_refusing("validation"),
        of_behaviour("evaluation"),
        forgetting("evaluation"),
    ),
}


async def self_test(
    desk: Desk, material: Material, stages_done: Collection[str], *, defects: Sequence[Defect] | None = None
) -> Document:
    """How many defects were planted and detected, each by the check that is there for it, and the false alarms.

    Only defects of the stages that were done count, and of these not those whose `detected` is None: the job has
    nothing to plant them in, or their check speaks against the job itself. A false alarm is a check that fires on an
    untouched copy of what it let pass: it tells nothing apart, so it detects nothing. Neither the material nor the
    job's record is changed, and no model is asked.
    """
    part = sampled(material, seed=desk.spec.seed)

    def untouched(defect: Defect) -> Trial:
        check = defect.check
        whole = material if check.whole else part
        return trial(desk, whole, WORK[desk.spec.data_type], stage=check.stage, name=defect.name)

    alarms: dict[Check, str | None] = {}
    found: list[Document] = []
    for defect in DEFECTS[desk.spec.data_type] if defects is None else defects:
        check = defect.check
        if check.stage not in stages_done:
            continue
        subject = untouched(defect)
        missing = _missing(defect, subject, desk)
        if not missing and check not in alarms:
            alarms[check] = await _said(check, untouched(defect))
        detected, why = (None, f"not applicable: {missing}") if missing else await _tried(check, subject, alarms[check])
        found.append({"name": defect.name, "stage": check.stage, "check": check.name, "detected": detected, "why": why})
    outcomes = [one["detected"] for one in found if one["detected"] is not None]
    return {
        "planted": len(outcomes),
        "detected": sum(outcomes),
        "detection_rate": sum(outcomes) / len(outcomes) if outcomes else None,
        "false_alarms": sum(map(bool, alarms.values())),
        "defects": found,
    }


def _missing(defect: Defect, subject: Trial, desk: Desk) -> str:
    """Plants the defect; why it could not be, empty when it was."""
    try:
        return "its check speaks against the job itself" if defect.check.found(desk.record) else defect.plant(subject)
    except Exception:  # the boundary of a trial
        log.exception("selftest.unplanted", defect=defect.name)
        return "planting it broke: the daemon's log has the details"


async def _tried(check: Check, subject: Trial, alarm: str | None) -> tuple[bool, str]:
    """Whether the check tells the trial with the defect from the untouched one, of which it says the alarm."""
    if alarm:
        return False, f"the check fires on an untouched copy, too: {alarm}"
    said = await _said(check, subject)
    if said is None:
        return False, "the check broke over it: the daemon's log has the details"
    return bool(said), said or "the check let it pass"


async def _said(check: Check, subject: Trial) -> str | None:
    """What the check says; None when it cannot stand the trial, which must not cost the job its rows."""
    try:
        return await check.fires(subject)
    except Exception:  # the boundary of a trial
        log.exception("selftest.crashed", stage=check.stage, check=check.name)
        return None
