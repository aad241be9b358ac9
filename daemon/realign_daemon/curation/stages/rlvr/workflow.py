"""RLVR: which function does which of the seven stages, and where problems that were given come in."""

from __future__ import annotations

from realign_daemon.curation.stages.rlvr.extraction import ASKING, extract_problems, take_problems
from realign_daemon.curation.stages.rlvr.held_out import evaluate, validate
from realign_daemon.curation.stages.rlvr.rewards import calculate_rewards
from realign_daemon.curation.stages.rlvr.solutions import generate_solutions
from realign_daemon.curation.stages.rlvr.training import train_on_rewards
from realign_daemon.curation.stages.rlvr.verification import verify_solutions
from realign_daemon.curation.stages.work import Work

WORK = Work(
    stages={
        "problem_extraction": extract_problems,
        "solution_generation": generate_solutions,
        "verification": verify_solutions,
        "reward_calculation": calculate_rewards,
        "training": train_on_rewards,
        "validation": validate,
        "evaluation": evaluate,
    },
    enter=take_problems,
    asking=ASKING,
)
