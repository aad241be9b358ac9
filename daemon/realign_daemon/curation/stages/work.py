"""Work: which function does which stage of a workflow, and how a job comes in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.curation.stages.prompts import QUESTION, Asking

StageWork = Callable[[Desk, Material], Awaitable[Measures]]
# Fills the material from the records of `--from-data`; gives the name of the stage to begin with.
Entry = Callable[[Desk, Material], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The functions of one workflow, in the order of its stages.

    A stage sets what it makes in the material and adds to nothing, so that it can be run again over more prompts.
    """

    stages: Mapping[str, StageWork]
    enter: Entry
    asking: Asking = QUESTION
