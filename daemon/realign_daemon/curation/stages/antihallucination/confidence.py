"""Confidence: stage 3. How sure the target is of an answer, told in three ways, of which the best is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.metrics.calibration import auroc
from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.stages.antihallucination.agreement import agreement
from realign_daemon.curation.stages.antihallucination.probe import CONFIDENCES, Answer, Confidence, Probe
from realign_daemon.curation.stages.antihallucination.refusals import make_rows
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Fill, Sha256
from realign_planner.gates import Measure

AUROC_PLACES = 3  # probabilities are no finer (asking.PROBABILITY_PLACES): a smaller difference may be rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An answer that claims something, whether that is right, and how sure the target is of it, 0..1 for each kind."""

    prompt_id: str
    pair: str  # of the question
    text: str  # normalised
    is_right: bool
    confidence: dict[Confidence, float]


async def confidence_scoring(desk: Desk, material: Material) -> Measures:
    """Whether the target's confidence tells right answers from wrong ones at all; and the rows.

    Measures auroc of the best of the three confidences over the answers to questions that are not held out. Reports it
    for each. The best is chosen by these answers and so looks a little better than it is; nothing is built on the
    choice, which `calibrate` makes anew on questions of its own.
    """
    training = [probe for probe in material.probes if not probe.prompt.is_held_out]
    found = await attempts(desk, training, adapter=None)
    figures, best = aurocs(found), best_confidence(found)
    await make_rows(desk, material)
    material.show(desk.stage.name, [{**row.fields, **row.provenance["probe"]} for row in material.rows])
    measures: Measures = {"auroc": await discrimination(desk, "auroc", found, [one.confidence[best] for one in found])}
    for kind in CONFIDENCES:
        measures |= exact(f"auroc_{kind}", figures[kind], len(found))
    return measures


async def attempts(desk: Desk, probes: Sequence[Probe], *, adapter: Sha256 | None) -> list[Attempt]:
    """The answers of the probes that claim something, with the confidence of the model that gave them.

    One for which P(True) was given up is left out.
    """
    answered = [(probe, answer) for probe in probes for answer in probe.attempts]
    desk.say(f"asking how sure it is of {len(answered)} answers")
    sure = await _p_true(desk, answered, adapter=adapter)
    return [
        Attempt(
            prompt_id=probe.prompt.id,
            pair=probe.question.pair,
            text=normalise(answer.text),
            is_right=answer.outcome == "right",
            confidence={"probability": answer.probability, "p_true": p_true, "agreement": agreement(probe, answer)},
        )
        for (probe, answer), p_true in zip(answered, sure, strict=True)
        if p_true is not None
    ]


def aurocs(found: Sequence[Attempt]) -> dict[Confidence, float | None]:
    """How well each confidence tells right answers from wrong ones; None where one kind is missing."""
    correct = [attempt.is_right for attempt in found]
    return {kind: auroc([attempt.confidence[kind] for attempt in found], correct) for kind in CONFIDENCES}


def best_confidence(found: Sequence[Attempt]) -> Confidence:
    """The one with the highest AUROC, to AUROC_PLACES; the first of equals, and where none has any."""
    figures = aurocs(found)
    return max(CONFIDENCES, key=lambda kind: round(figures[kind] or 0.0, AUROC_PLACES))


async def discrimination(desk: Desk, metric: str, found: Sequence[Attempt], confidences: Sequence[float]) -> Measure:
    """The AUROC with the bootstrap interval over questions, each with its twin, whose answers err together.

    n counts those, not the answers.
    """
    correct, pairs = [attempt.is_right for attempt in found], [attempt.pair for attempt in found]
    value, n = auroc(confidences, correct), len({*pairs})
    if value is None:
        return Measure(metric=metric, value=None, n=n)
    interval = await desk.compute(
        "intervals.bootstrap_auroc",
        {"confidences": list(confidences), "correct": correct, "questions": pairs, "seed": desk.spec.seed},
    )
    return Measure(metric=metric, value=value, low=interval["low"], high=interval["high"], n=n)


async def _p_true(
    desk: Desk, answered: Sequence[tuple[Probe, Answer]], *, adapter: Sha256 | None
) -> list[float | None]:
    """The probability of the last choice of the form: that the answer is right."""
    template = load(desk.pin("target").templates).template("p_true")
    tasks = [
        Fill(
            model=desk.pin("target").model,
            adapter=adapter,
            messages=template.render(question=probe.prompt.question, response=answer.text),
            form=template.form,
            template=template.id,
        )
        for probe, answer in answered
    ]
    results = await desk.fill("target", tasks)
    return [None if result is None else result.probabilities[-1][-1] for result in results]
