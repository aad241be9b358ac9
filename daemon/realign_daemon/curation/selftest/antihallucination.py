"""Anti-hallucination: defects of confidence, and of a model that refuses too much or too little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from realign_daemon.curation.selftest.checks import Gate
from realign_daemon.curation.selftest.defect import Defect
from realign_daemon.curation.selftest.sayings import answer_of, everywhere, is_of
from realign_daemon.curation.selftest.training import NOT_TRAINED
from realign_daemon.curation.selftest.trial import Trial
from realign_daemon.curation.stages.antihallucination.probe import Answer, Probe
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Fill, Generate, Generated, Message, Result, Task
from realign_planner.thresholds import threshold

NO_PROBES = "no question was put to the target"
ONE_KIND = "all answers are right, or none is"
WRONG = "the seventh of them"
QUESTIONS = 120  # whose confidences are spoiled: more than the gate's least number even if half are twins of the others


def of_probing(stage: str) -> tuple[Defect, ...]:
    """Of the stage that tells known questions from unknown ones."""
    check = Gate(stage=stage, name="probed_fraction")
    return (
        Defect(name="empty outputs", check=check, plant=_empty),
        Defect(name="a model that guesses", check=check, plant=_guessing),
    )


def of_confidence(stage: str) -> tuple[Defect, ...]:
    """Of the stage that scores confidence. A constant tells nothing and leads nobody astray: a warning will do."""
    return (
        Defect(
            name="constant confidence", check=Gate(stage=stage, name="auroc", whole=True, warns=True), plant=_constant
        ),
        Defect(name="inverted confidence", check=Gate(stage=stage, name="auroc"), plant=_inverted),
    )


def of_calibration(stage: str) -> tuple[Defect, ...]:
    """Of the stage that fits a scale to confidence; the whole, since few answers look worse than they are."""
    return (
        Defect(
            name="confidence that is far off",
            check=Gate(stage=stage, name="calibration_error", whole=True),
            plant=_far_off,
        ),
        Defect(
            name="a scale that makes all confidence the same",
            check=Gate(stage=stage, name="auroc_after", whole=True),
            plant=_levelled,
        ),
    )


def of_refusing(stage: str) -> tuple[Defect, ...]:
    """Of the stage that weighs refusals."""
    return (
        Defect(
            name="a model that refuses everything",
            check=Gate(stage=stage, name="over_refusal", whole=True),
            plant=_refusing,
        ),
        Defect(
            name="a model that never abstains",
            check=Gate(stage=stage, name="abstention_gain", whole=True),
            plant=_inventing,
        ),
    )


def of_behaviour(stage: str) -> Defect:
    """Of the stage that counts right, wrong and not attempted."""
    return Defect(
        name="a model that makes more things up",
        check=Gate(stage=stage, name="wrong_answer_fall", whole=True),
        plant=_inventing,
    )


def _empty(trial: Trial) -> str:
    trial.material.probes = [replace(probe, answers=()) for probe in trial.material.probes]
    return "" if trial.material.probes else NO_PROBES


def _guessing(trial: Trial) -> str:
    """One answer in eight right: neither known nor unknown."""
    trial.material.probes = [
        replace(probe, answers=tuple(replace(one, outcome=outcome) for outcome in ("right", *["wrong"] * 7)))
        for probe in trial.material.probes
        for one in probe.answers[:1]
    ]
    return "" if trial.material.probes else NO_PROBES


def _constant(trial: Trial) -> str:
    """Two answers in the same words to each question, and all of them thought as likely."""
    probes = [_saying(probe, [replace(probe.attempts[0], probability=0.5)] * 2) for probe in _asked(trial)]
    least = threshold("auroc", trial.desk.spec.gate_settings).min_n
    questions = len({probe.question.pair for probe in probes})
    return _confident(trial, probes) or ("" if questions >= least else "the gate asks for more questions")


def _inverted(trial: Trial) -> str:
    """Wrong answers that agree and are thought likely; right ones that do neither."""
    probes: list[Probe] = []
    for probe in _asked(trial):
        first = probe.attempts[0]
        is_right = first.outcome == "right"
        texts = [f"{first.text} {number}" if is_right else first.text for number in range(2)]
        sure = 0.1 if is_right else 0.9
        probes.append(_saying(probe, [replace(first, text=text, probability=sure) for text in texts]))
    return _confident(trial, probes)


def _confident(trial: Trial, probes: Sequence[Probe]) -> str:
    """Puts these probes in the place of the trial's; asked whether it is right, the target says what it thought."""
    template = load(trial.desk.pin("target").templates).template("p_true")
    thought: dict[tuple[Message, ...], float] = {
        template.render(question=probe.prompt.question, response=answer.text): answer.probability
        for probe in probes
        for answer in probe.answers
    }

    def answers(task: Task, known: Result | None) -> Result | None:
        if not isinstance(task, Fill) or task.messages not in thought:
            return known
        chance, choices = thought[task.messages], task.form[-1].choices
        rest = (1 - chance) / (len(choices) - 1)
        last = (*[rest] * (len(choices) - 1), chance)
        filled = everywhere(task, -1)
        return replace(filled, probabilities=(*filled.probabilities[:-1], last))

    trial.desk.answers = answers
    trial.material.probes = list(probes)
    outcomes = {answer.outcome for probe in probes for answer in probe.answers}
    return "" if outcomes >= {"right", "wrong"} else ONE_KIND


def _asked(trial: Trial) -> list[Probe]:
    """Some probes that are not held out and claim something: half of them rightly, as far as there are such."""
    probes = [probe for probe in trial.material.probes if probe.attempts and not probe.prompt.is_held_out]
    right = [probe for probe in probes if probe.attempts[0].outcome == "right"]
    wrong = [probe for probe in probes if probe.attempts[0].outcome == "wrong"]
    return right[: QUESTIONS // 2] + wrong[: QUESTIONS // 2]


def _saying(probe: Probe, answers: Sequence[Answer]) -> Probe:
    return replace(probe, answers=tuple(answers), asked=len(answers))


def _far_off(trial: Trial) -> str:
    """None for every confidence where most answers are right, certainty where most are not."""
    return _scaled(trial, lambda correct: float(sum(correct) < len(correct) / 2))


def _levelled(trial: Trial) -> str:
    """The share of right answers for every confidence: well calibrated, and of no use."""
    return _scaled(trial, fmean)


def _scaled(trial: Trial, chance: Callable[[Sequence[bool]], float]) -> str:
    """Has the scale give one chance for every confidence, which follows from the answers that it is fitted on."""

    def fitted(correct: Sequence[bool], **_: object) -> dict[str, object]:
        return {"method": "isotonic", "confidences": [0.5], "chances": [chance(correct)]}

    trial.desk.functions["calibration.fit"] = fitted
    return "" if trial.desk.tuned else NOT_TRAINED


def _refusing(trial: Trial) -> str:
    words = load(trial.desk.pin("target").templates).refusal.words
    return _behaving(trial, before=None, after=words)


def _inventing(trial: Trial) -> str:
    """A model that refused everything, and now is wrong in everything."""
    words = load(trial.desk.pin("target").templates).refusal.words
    return _behaving(trial, before=words, after=WRONG)


def _behaving(trial: Trial, *, before: str | None, after: str) -> str:
    """Has the target say this before and after its training; what nobody has judged yet is wrong."""
    tuned = trial.desk.tuned
    if tuned is None:
        return NOT_TRAINED
    template = load(trial.desk.pin("target").templates).template("short_answer")

    def answers(task: Task, known: Result | None) -> Result | None:
        if isinstance(task, Generate) and isinstance(known, Generated) and is_of(task, "short_answer"):
            text = after if task.adapter == tuned.adapter else before
            return known if text is None else replace(known, text=answer_of(template, text), finish_reason="stop")
        if isinstance(task, Fill) and known is None and is_of(task, "verdict"):
            return everywhere(task, 0)
        return known

    trial.desk.answers = answers
    return "" if any(probe.prompt.is_held_out for probe in trial.material.probes) else "no question is held out"
