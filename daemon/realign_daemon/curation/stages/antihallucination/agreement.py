"""Agreement: how many of the answers to one question say the same."""

from __future__ import annotations

from collections import Counter

from realign_daemon.curation.metrics.answering import Outcome
from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.stages.antihallucination.probe import Answer, Probe


def agreement(probe: Probe, answer: Answer) -> float:
    """The share of all answers that say the same as this one, itself included."""
    return sum(normalise(one.text) == normalise(answer.text) for one in probe.answers) / len(probe.answers)


def usual(probe: Probe, outcome: Outcome) -> Answer | None:
    """Of the answers of this worth the first with the text that comes most often; None without any."""
    answers = [answer for answer in probe.answers if answer.outcome == outcome]
    counts = Counter(normalise(answer.text) for answer in answers)
    return max(answers, key=lambda answer: counts[normalise(answer.text)], default=None)
