"""DPO: which function does which of the seven stages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.stages.answers import generate_responses
from realign_daemon.curation.stages.baseline import sft_baseline
from realign_daemon.curation.stages.evaluation import evaluate
from realign_daemon.curation.stages.gaps import validate_gaps
from realign_daemon.curation.stages.judging import score_pairs
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.curation.stages.suites import monitor_regression
from realign_daemon.curation.stages.training import train_dpo

WORK: Mapping[str, Callable[[Desk, Material], Awaitable[Measures]]] = {
    "sft_baseline": sft_baseline,
    "generate_responses": generate_responses,
    "score_pairs": score_pairs,
    "validate_gaps": validate_gaps,
    "train_dpo": train_dpo,
    "evaluate": evaluate,
    "monitor_regression": monitor_regression,
}
