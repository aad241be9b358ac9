"""Anti-hallucination: which function does which of the seven stages, and where questions that were given come in."""

from __future__ import annotations

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.stages.antihallucination.behaviour import evaluate, validate
from realign_daemon.curation.stages.antihallucination.calibration import calibrate
from realign_daemon.curation.stages.antihallucination.confidence import confidence_scoring
from realign_daemon.curation.stages.antihallucination.probing import (
    FACTS,
    FIRST_STAGE,
    refusal_data_generation,
    uncertainty_calibration,
)
from realign_daemon.curation.stages.antihallucination.training import train_refusals
from realign_daemon.curation.stages.work import Work


async def take_questions(desk: Desk, material: Material) -> str:  # noqa: ARG001 - another workflow has more to do here
    """The first stage: records are questions there as they are."""
    return FIRST_STAGE


WORK = Work(
    stages={
        "refusal_data_generation": refusal_data_generation,
        "uncertainty_calibration": uncertainty_calibration,
        "confidence_scoring": confidence_scoring,
        "training": train_refusals,
        "calibration": calibrate,
        "validation": validate,
        "evaluation": evaluate,
    },
    enter=take_questions,
    asking=FACTS,
)
