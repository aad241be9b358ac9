"""Judgement: what one judge said when it was asked once, and where: the evidence for the rows that it decides on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realign_daemon.curation.metrics.preference import Verdict
from realign_daemon.curation.metrics.quality import expected_score, quality_of
from realign_daemon.curation.spec import ModelPin
from realign_daemon.engine.api import Fill, Filled

if TYPE_CHECKING:  # material holds judgements, and a desk's record knows of material
    from realign_daemon.curation.desk import Made

OVERALL = "overall"  # the aspect of a form that does not name one


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Who judged, by which template, and which unit on which node that was."""

    judge: ModelPin
    template: str
    made: Made
    samples: int = 0  # above 0: the judge gives no probabilities, and so many of its answers were counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating(Judgement):
    """Scores by aspect, each an expectation over the probabilities of its choices."""

    scores: tuple[tuple[str, float], ...]

    @property
    def quality(self) -> float:
        """The aspects of a rubric as one figure, 1..10."""
        return quality_of([score for _, score in self.scores])


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Judgement):
    """The better one of two, in the order in which they were shown."""

    winner: Verdict


def rating(pin: ModelPin, task: Fill, filled: Filled, made: Made) -> Rating:
    """A rubric's aspects with their expected digits, 1..5, in the form's order."""
    scores = [
        (_aspect(slot.before), expected_score(found))
        for slot, found in zip(task.form, filled.probabilities, strict=True)
    ]
    return Rating(judge=pin, template=task.template, made=made, scores=tuple(scores), samples=filled.samples)


def evidence(said: Iterable[tuple[Mapping[str, Any], Judgement]]) -> list[dict[str, Any]]:
    """Judgements as provenance keeps them, by judge: each with what it is about, as its fields say.

    `seed` is null: a form is not sampled, its probabilities are read off. Where the judge gives none `counted_samples`
    says of how many sampled answers they are the shares.
    """
    by_judge: dict[str, dict[str, Any]] = {}
    for about, one in said:
        judge: dict[str, Any] = {**one.judge.provenance, "seed": None, "said": []}
        by_judge.setdefault(one.judge.model, judge)["said"].append(
            {
                **about,
                "template": one.template,
                **(
                    {"scores": {name: round(score, 4) for name, score in one.scores}} if isinstance(one, Rating) else {}
                ),
                **({"counted_samples": one.samples} if one.samples else {}),
                "unit": one.made.key,
                "node": one.made.node,
            }
        )
    return list(by_judge.values())


def _aspect(before: str) -> str:
    """The last word before a slot, which is the name of a JSON field where the form is JSON."""
    words = re.findall(r"\w+", before)
    return words[-1] if words else OVERALL
