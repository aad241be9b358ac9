"""Solving: how a family of models writes the answers to problems, and what it is trained on them with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from realign_daemon.engine.api import TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Solving:
    """Of one template set."""

    number_notation: Literal["plain", "reversed"]  # reversed: least significant digit first, with leading zeros
    answer_form: str  # a regular expression found in every solution that states its answer as the template asks
    sft: TrainSettings
    grpo: TrainSettings

    def everyday(self, answer: str) -> str:
        """The model's answer, a number in everyday digits: `640` is 46 where numbers are written in reverse."""
        if self.number_notation == "reversed" and answer.isascii() and answer.isdigit():
            return str(int(answer[::-1]))
        return answer

    def is_in_form(self, solution: str) -> bool:
        """Whether the solution states its answer as it was asked to."""
        return re.search(self.answer_form, solution) is not None

    def training(self, method: Literal["sft", "grpo"]) -> TrainSettings:
        """Default settings of a training run."""
        return self.sft if method == "sft" else self.grpo
