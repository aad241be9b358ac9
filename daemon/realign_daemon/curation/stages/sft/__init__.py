"""SFT: which function does which of the seven stages, and where answers that were given come in."""

from realign_daemon.curation.stages.sft.conversion import format_conversion
from realign_daemon.curation.stages.sft.deployment import deploy
from realign_daemon.curation.stages.sft.evaluation import evaluate
from realign_daemon.curation.stages.sft.filtering import quality_filter
from realign_daemon.curation.stages.sft.preparation import data_prep, take_answers
from realign_daemon.curation.stages.sft.training import train
from realign_daemon.curation.stages.sft.validation import validate
from realign_daemon.curation.stages.work import Work

WORK = Work(
    stages={
        "data_prep": data_prep,
        "quality_filter": quality_filter,
        "format_conversion": format_conversion,
        "train": train,
        "validate": validate,
        "evaluate": evaluate,
        "deploy": deploy,
    },
    enter=take_answers,
)
