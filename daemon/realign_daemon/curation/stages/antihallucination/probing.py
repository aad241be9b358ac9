"""Probing: stages 1 and 2. What the target knows, what it does not, and questions that nobody can answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.metrics.calibration import auroc, brier_score, calibration_error
from realign_daemon.curation.stages import grounding, prompts, suites
from realign_daemon.curation.stages.antihallucination.asking import ask
from realign_daemon.curation.stages.antihallucination.probe import Probe, Question
from realign_daemon.curation.stages.antihallucination.twins import make_twins
from realign_daemon.curation.stages.measures import Measures, exact, rate, share
from realign_daemon.curation.stages.prompts import Asking, Drawn
from realign_daemon.curation.templates import Template, load


def _question_and_answer(template: Template, text: str) -> Drawn:
    return template.text_of(text, "question"), "" if template.schema is None else template.text_of(text, "answer")


FIRST_STAGE = "refusal_data_generation"  # it probes the target, whoever asked the questions
FACTS = Asking(template="fact", read=_question_and_answer)


async def refusal_data_generation(desk: Desk, material: Material) -> Measures:
    """Questions with true answers, what the target makes of them, and an unanswerable twin for those that it knows.

    Measures text_ratio and valid_fraction: the share of samples that are neither empty nor cut off. Reports
    known_fraction and unknown_fraction of the questions from the sources.
    """
    measures = await grounding.read_sources(desk, material, load(desk.pin("generator").templates))
    if desk.is_rejected(measures["text_ratio"]):
        return measures | {"valid_fraction": rate("valid_fraction", 0, 0)}
    await prompts.draw_prompts(desk, material, FACTS)
    desk.say("freezing the regression suites")
    material.suites_before = await suites.run(desk, adapter=None)
    material.probes = []
    await probe_prompts(desk, material)
    counts = _counts(material.probes)
    asked = sum(counts.values())
    material.show(desk.stage.name, [shown(probe) for probe in material.probes])
    return {
        **measures,
        "valid_fraction": share("valid_fraction", [(len(probe.answers), probe.asked) for probe in material.probes]),
        **exact("known_fraction", counts["known"] / asked if asked else None, asked),
        **exact("unknown_fraction", counts["unknown"] / asked if asked else None, asked),
    }


async def uncertainty_calibration(desk: Desk, material: Material) -> Measures:
    """How well the untouched target's own probabilities say when it is right, before anything is trained.

    Measures probed_fraction: the share of questions from the sources that are clearly known or unknown. Reports the
    baseline's calibration error, Brier score and AUROC over all its answers, which block nothing: a model that was
    never taught to doubt is usually far off.
    """
    await probe_prompts(desk, material)
    counts = _counts(material.probes)
    answers = [answer for probe in material.probes for answer in probe.attempts]
    confidences, correct = [one.probability for one in answers], [one.outcome == "right" for one in answers]
    n = len(answers)
    material.show(
        desk.stage.name,
        [{"question": probe.prompt.question, "knowledge": probe.knowledge} for probe in material.probes],
    )
    return {
        "probed_fraction": rate("probed_fraction", counts["known"] + counts["unknown"], sum(counts.values())),
        **exact("baseline_calibration_error", calibration_error(confidences, correct) if n else None, n),
        **exact("baseline_brier", brier_score(confidences, correct) if n else None, n),
        **exact("baseline_auroc", auroc(confidences, correct) if n else None, n),
    }


async def probe_prompts(desk: Desk, material: Material) -> None:
    """Sets material.probes to those of all prompts and of the twins of the known ones; what was probed stays.

    Twins stay whatever the target says to them: chosen by that, held-out ones would look worse before the training than
    they are, and any other draw better. Which of them make rows is for make_rows. The probes of prompts that are gone
    go, too: a later one that is held out may have taken the place of one that is nearly the same.
    """
    asked_for = {prompt.id for prompt in material.prompts}
    material.probes = [one for one in material.probes if (one.question.twin or one.prompt.id) in asked_for]
    probed = {probe.prompt.id for probe in material.probes}
    fresh = [Question(prompt=prompt) for prompt in material.prompts if prompt.id not in probed]
    found = await ask(desk, fresh, adapter=None)
    twins = await make_twins(desk, material, [probe.prompt for probe in found if probe.knowledge == "known"])
    material.probes = [*material.probes, *found, *await ask(desk, twins, adapter=None)]


def _counts(probes: Sequence[Probe]) -> Counter[str]:
    """Known, unknown and unsure among the questions from the sources."""
    return Counter(probe.knowledge for probe in probes if probe.question.origin == "source")


def shown(probe: Probe) -> dict[str, object]:
    """A probe in plain words."""
    return {
        "question": probe.prompt.question,
        "origin": probe.question.origin,
        "gold": probe.prompt.gold,
        "answers": [f"{answer.text} ({answer.outcome})" for answer in probe.answers],
        "knowledge": probe.knowledge,
    }
