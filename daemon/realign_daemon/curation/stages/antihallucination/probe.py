"""Probe: what a model answered when asked the same question several times, and so whether it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:  # Material holds probes, and a probe holds a prompt
    from realign_daemon.curation.judgement import Rating
    from realign_daemon.curation.material import Prompt
    from realign_daemon.curation.metrics.answering import Outcome
    from realign_daemon.engine.api import Generate

Origin = Literal["source", "absent_name", "false_premise"]
Knowledge = Literal["known", "unknown", "unsure"]
# probability: that the model gives to a token of its answer, on average. p_true: that it gives to the answer being
# right, when asked (Kadavath et al., arXiv 2207.05221). agreement: the share of its samples that say the same (Wang et
# al., arXiv 2203.11171).
Confidence = Literal["probability", "p_true", "agreement"]
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)

# R-Tuning (arXiv 2311.09677) takes a single answer; of several at temperature 1, one stray one would mislabel.
KNOWN_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question and where it comes from. One that cannot be answered was made from one that can, its twin."""

    prompt: Prompt
    origin: Origin = "source"
    twin: str = ""  # id of the answerable prompt

    @property
    def pair(self) -> str:
        """The same for a question and its twin, which are alike in passage and wording and so err together."""
        return self.twin or self.prompt.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer and what it was worth."""

    text: str
    outcome: Outcome
    probability: float  # that the model gives to one of its tokens, 0..1; equal texts to one question have the same
    task: Generate
    judgements: tuple[Rating, ...] = ()  # none where a reference or its own words decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The answers to one question that were neither empty nor cut off, of so many asked for."""

    question: Question
    answers: tuple[Answer, ...]
    asked: int

    @property
    def prompt(self) -> Prompt:
        """The question as the model reads it."""
        return self.question.prompt

    @property
    def is_answered(self) -> bool:
        """Whether half of the tries gave an answer, and one at least: a few would say little of what is known."""
        return 2 * len(self.answers) >= max(2, self.asked)

    @property
    def knowledge(self) -> Knowledge:
        """Known when at least half of the answers are right, unknown when none is, else neither.

        Neither, too, where it is hardly answered, and of a question that was meant to have no answer and got a right
        one.
        """
        right = sum(answer.outcome == "right" for answer in self.answers)
        if not self.is_answered or (right and self.question.origin != "source"):
            return "unsure"
        if right >= KNOWN_SHARE * len(self.answers):
            return "known"
        return "unsure" if right else "unknown"

    @property
    def attempts(self) -> list[Answer]:
        """The answers that are none of the model's "I don't know"."""
        return [answer for answer in self.answers if answer.outcome != "abstained"]
