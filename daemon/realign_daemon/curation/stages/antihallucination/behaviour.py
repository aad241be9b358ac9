"""Behaviour: stages 6 and 7. What the tuned model says to held-out questions, against what it said before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.metrics.answering import (
    Outcome,
    abstention_points,
    abstention_score,
    refusal_precision,
    refusal_recall,
)
from realign_daemon.curation.stages import measures, suites
from realign_daemon.curation.stages.antihallucination.asking import ask_once
from realign_daemon.curation.stages.antihallucination.parts import parts_of
from realign_daemon.curation.stages.antihallucination.probe import Knowledge, Probe
from realign_daemon.curation.stages.measures import Measures, exact, rate
from realign_planner.gates import Measure

# Stated confidence targets, as in arXiv 2509.04664. The gate reads the middle one, where being wrong costs 3 points.
TARGETS, GATED_TARGET = (0.5, 0.75, 0.9), 0.75

REPORTED: Mapping[Outcome, str] = {"right": "right", "wrong": "wrong", "abstained": "not_attempted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A held-out question, whether the untouched target knew it, and its greedy answer before and after."""

    question: str
    pair: str  # of the question
    knowledge: Knowledge
    before: str
    after: str
    was: Outcome
    now: Outcome


async def validate(desk: Desk, material: Material) -> Measures:
    """Whether refusing pays, by greedy answers to the test questions.

    Measures abstention_gain, the paired change of points at GATED_TARGET, and over_refusal, the share of known
    questions that the tuned model refuses. Reports the abstention scores before and after, and refusal precision and
    recall over questions known and unknown.
    """
    cases = await _cases(desk, material)
    clear = [case for case in cases if case.knowledge != "unsure"]
    refused, known = [case.now == "abstained" for case in clear], [case.knowledge == "known" for case in clear]
    was: list[Outcome] = [case.was for case in cases]
    now: list[Outcome] = [case.now for case in cases]
    found: Measures = {}
    for target in TARGETS:
        name = f"abstention_{round(100 * target)}"
        found |= exact(f"{name}_before", abstention_score(was, target=target), len(cases))
        found |= exact(f"{name}_after", abstention_score(now, target=target), len(cases))
    over_refused = sum(refusal and is_known for refusal, is_known in zip(refused, known, strict=True))
    return {
        **found,
        "abstention_gain": await _mean(desk, "abstention_gain", cases, [_gain(case) for case in cases]),
        "over_refusal": rate("over_refusal", over_refused, sum(known)),
        **exact("refusal_precision", refusal_precision(refused, known), sum(refused)),
        **exact("refusal_recall", refusal_recall(refused, known), len(known) - sum(known)),
    }


async def evaluate(desk: Desk, material: Material) -> Measures:
    """Right, wrong and not attempted before and after, and what else the model lost.

    Measures wrong_answer_fall over the same questions, and regression.
    """
    cases = await _cases(desk, material)
    fall = [float(case.was == "wrong") - float(case.now == "wrong") for case in cases]
    found: Measures = {"wrong_answer_fall": await _mean(desk, "wrong_answer_fall", cases, fall)}
    for outcome, name in REPORTED.items():
        found |= exact(f"{name}_before", _share([case.was for case in cases], outcome), len(cases))
        found |= exact(f"{name}_after", _share([case.now for case in cases], outcome), len(cases))
    return found | await suites.monitor_regression(desk, material)


async def _cases(desk: Desk, material: Material) -> list[Case]:
    """The test questions that were answered before and after, in their order; none where nothing was trained."""
    if material.tuned is None:
        return []
    parts = parts_of(material.probes, seed=desk.spec.seed)
    probes = [probe for probe in material.probes if parts.of(probe.prompt) == "test"]
    questions = [probe.question for probe in probes]
    before = await ask_once(desk, questions, adapter=None)
    after = await ask_once(desk, questions, adapter=material.adapter)
    cases = [_case(*one) for one in zip(probes, before, after, strict=True) if one[1].answers and one[2].answers]
    material.show(desk.stage.name, [asdict(case) for case in cases])
    return cases


def _case(probe: Probe, before: Probe, after: Probe) -> Case:
    (was,), (now,) = before.answers, after.answers
    return Case(
        question=probe.prompt.question,
        pair=probe.question.pair,
        knowledge=probe.knowledge,
        before=was.text,
        after=now.text,
        was=was.outcome,
        now=now.outcome,
    )


def _gain(case: Case) -> float:
    return abstention_points(case.now, target=GATED_TARGET) - abstention_points(case.was, target=GATED_TARGET)


async def _mean(desk: Desk, metric: str, cases: Sequence[Case], values: Sequence[float]) -> Measure:
    """The mean over the cases, with the bootstrap interval over questions, each with its twin; n counts those."""
    pairs = [case.pair for case in cases]
    n = len({*pairs})
    if len({*values}) < 2:  # noqa: PLR2004 - nothing varies, and nothing can be resampled
        return await measures.mean(desk, metric, [*values[:1]] * n)
    interval = await desk.compute(
        "intervals.bootstrap_clustered_mean", {"values": values, "questions": pairs, "seed": desk.spec.seed}
    )
    return Measure(metric=metric, value=fmean(values), low=interval["low"], high=interval["high"], n=n)


def _share(outcomes: Sequence[Outcome], outcome: Outcome) -> float | None:
    return outcomes.count(outcome) / len(outcomes) if outcomes else None
