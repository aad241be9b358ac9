"""DPO: which function does which of the seven stages, and where pairs that were given come in."""

from __future__ import annotations

from realign_daemon.curation.stages.answers import generate_responses
from realign_daemon.curation.stages.baseline import sft_baseline
from realign_daemon.curation.stages.evaluation import evaluate
from realign_daemon.curation.stages.gaps import validate_gaps
from realign_daemon.curation.stages.given_pairs import take_pairs
from realign_daemon.curation.stages.judging import score_pairs
from realign_daemon.curation.stages.suites import monitor_regression
from realign_daemon.curation.stages.training import train_dpo
from realign_daemon.curation.stages.work import Work

WORK = Work(
    stages={
        "sft_baseline": sft_baseline,
        "generate_responses": generate_responses,
        "score_pairs": score_pairs,
        "validate_gaps": validate_gaps,
        "train_dpo": train_dpo,
        "evaluate": evaluate,
        "monitor_regression": monitor_regression,
    },
    enter=take_pairs,
)
