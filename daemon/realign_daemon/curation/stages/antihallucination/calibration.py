"""Calibration: stage 5. The tuned model's confidence put on a scale where it is the chance of being right."""

from __future__ import annotations

from collections.abc import Sequence

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.metrics.calibration import brier_score, calibration_error, effective_size
from realign_daemon.curation.metrics.scaling import Scaling
from realign_daemon.curation.stages.antihallucination.asking import ask
from realign_daemon.curation.stages.antihallucination.confidence import (
    Attempt,
    attempts,
    best_confidence,
    discrimination,
)
from realign_daemon.curation.stages.antihallucination.parts import Part, parts_of
from realign_daemon.curation.stages.antihallucination.probe import Confidence, Probe
from realign_daemon.curation.stages.measures import Measures, exact
from realign_planner.gates import Measure

ONE_SECTION = (
    "the held-out questions come from a single section, so the scale of the confidences is fitted on passages beside "
    "those that it is measured on"
)


async def calibrate(desk: Desk, material: Material) -> Measures:
    """Picks the best confidence and fits its scale on held-out questions that serve nothing else; measures on others.

    Training changes how a model shows that it is sure, so what was best before is not taken over.

    Measures calibration_error over several sampled answers a question, of which those count that claim something; and
    auroc_after of the same, since a confidence that is always the same can be calibrated, too. Reports the error before
    scaling, the Brier score, and the share of answers that claim something.
    """
    fitting, testing = await _asked_again(desk, material, "scaling"), await _asked_again(desk, material, "test")
    learned = await attempts(desk, fitting, adapter=material.adapter)
    found = await attempts(desk, testing, adapter=material.adapter)
    kind = best_confidence(learned)
    material.scaling = scaling = await _fitted(desk, kind, learned)
    raw, correct = [attempt.confidence[kind] for attempt in found], [attempt.is_right for attempt in found]
    scaled = [scaling(confidence) for confidence in raw]
    answers, n = sum(len(probe.answers) for probe in testing), len(found)
    material.show(
        desk.stage.name,
        [
            {
                "prompt": attempt.prompt_id,
                "answer": attempt.text,
                kind: before,
                scaling.method: after,
                "is_right": attempt.is_right,
            }
            for attempt, before, after in zip(found, raw, scaled, strict=True)
        ],
    )
    return {
        "calibration_error": await _calibration_error(desk, found, scaled),
        "auroc_after": await discrimination(desk, "auroc_after", found, scaled),
        **exact("unscaled_calibration_error", calibration_error(raw, correct) if n else None, n),
        **exact("brier", brier_score(scaled, correct) if n else None, n),
        **exact("answered_fraction", n / answers if answers else None, answers),
    }


async def _asked_again(desk: Desk, material: Material, part: Part) -> list[Probe]:
    """The tuned model's answers to a part of the held-out questions; none where nothing was trained."""
    if material.tuned is None:
        return []
    parts = parts_of(material.probes, seed=desk.spec.seed)
    if not parts.sections:
        desk.warn(ONE_SECTION)
    questions = [probe.question for probe in material.probes if parts.of(probe.prompt) == part]
    return await ask(desk, questions, adapter=material.adapter)


async def _fitted(desk: Desk, kind: Confidence, learned: Sequence[Attempt]) -> Scaling:
    """The scale that suits these answers; confidences as they are where there is none to learn from."""
    if not learned:
        return Scaling(method="temperature")
    arguments: dict[str, object] = {
        "method": desk.spec.choice("scaling", "best"),
        "confidences": [attempt.confidence[kind] for attempt in learned],
        "correct": [attempt.is_right for attempt in learned],
        "questions": [attempt.pair for attempt in learned],
    }
    return Scaling(**await desk.compute("calibration.fit", arguments))


async def _calibration_error(desk: Desk, found: Sequence[Attempt], scaled: Sequence[float]) -> Measure:
    """With the bootstrap interval over questions, each with its twin, whose answers err together.

    n is what the answers are worth: those in the same words to the same question count little more than one.
    """
    if not found:
        return Measure(metric="calibration_error", value=None, n=0)
    correct = [attempt.is_right for attempt in found]
    arguments: dict[str, object] = {
        "confidences": list(scaled),
        "correct": correct,
        "questions": [attempt.pair for attempt in found],
        "seed": desk.spec.seed,
    }
    interval = await desk.compute("intervals.bootstrap_calibration", arguments)
    return Measure(
        metric="calibration_error",
        value=calibration_error(scaled, correct),
        low=interval["low"],
        high=interval["high"],
        n=int(effective_size([(attempt.prompt_id, attempt.text) for attempt in found])),
    )
