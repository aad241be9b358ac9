"""Rewards: stage 4 of RLVR. Which problems have something to teach, the rows they make, and a test of the verifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.metrics.answering import carries_gradient
from realign_daemon.curation.stages import hygiene
from realign_daemon.curation.stages.measures import Measures, exact, share
from realign_daemon.curation.stages.rlvr import checking
from realign_daemon.curation.stages.rlvr.problem import Problem, Solution, note_unused, sound
from realign_daemon.curation.stages.rlvr.problem_rows import problem_row
from realign_daemon.curation.stages.rows import within_count
from realign_daemon.curation.verify.perturb import certainly_differ, further_wrong_golds
from realign_daemon.work.units import seed_for
from realign_planner.gates import Measure

# Of each problem; own choice. What decides is the number of problems: wrong answers to one are accepted together.
TWICE_WRONG, OTHERS = 6, 3

SOLVED, UNSOLVED = "every sample solves it", "no sample solves it"
CUT_OFF = "each sample that solves it was cut off at the token limit"


async def calculate_rewards(desk: Desk, material: Material) -> Measures:
    """Stage 4. Pass rates, and a row for every problem that is held out or solved by some samples and not by all.

    Held-out problems stay whatever their pass rate: choosing among them by it would bias what is measured on them.
    Measures verifier_false_positives; reports pass_rate (the mean) and band_fraction (the share between 0 and 1).
    """
    problems = sound(material)
    verified = {key: [one.is_correct for one in found] for key, found in material.solutions.items()}
    sampled = [problem for problem in problems if problem.prompt.id in verified]
    reasons = reasons_to_drop(problems, material.solutions)
    for problem, reason in zip(problems, reasons, strict=True):
        if reason:
            note_unused(material, desk.stage.name, problem, reason)
    kept = [problem for problem, reason in zip(problems, reasons, strict=True) if not reason]
    rows = [
        problem_row(
            desk, problem, material.solutions[problem.prompt.id], checker=await checking.checker_of(desk, problem)
        )
        for problem in kept
    ]
    material.rows = within_count(desk, material, await hygiene.clean_rows(desk, material, rows))
    material.show(desk.stage.name, [row.fields for row in material.rows])
    rates = [fmean(verified[problem.prompt.id]) for problem in sampled]
    in_band = sum(carries_gradient(verified[problem.prompt.id]) for problem in sampled)
    return {
        "verifier_false_positives": await false_positives(desk, problems),
        **exact("pass_rate", fmean(rates) if rates else None, len(rates)),
        **exact("band_fraction", in_band / len(sampled) if sampled else None, len(sampled)),
    }


def reasons_to_drop(problems: Sequence[Problem], solutions: Mapping[str, Sequence[Solution]]) -> list[str]:
    """Why each problem makes no row, in their order; empty for one that does. Solutions are by prompt id."""
    return [_why_not(problem, solutions.get(problem.prompt.id, ())) for problem in problems]


async def false_positives(desk: Desk, problems: Sequence[Problem]) -> Measure:
    """The share of planted wrong answers that the verifier accepts.

    Planted are answers that the problems were not chosen by: made wrong twice over, and the answers and programs of
    other problems. Once wrong ones would not do, since a problem of which the verifier accepts one is left out.
    """
    desk.say("planting wrong answers")
    drawn = sorted(problems, key=lambda problem: seed_for(desk.spec.seed, problem.prompt.id, 0))
    pairs = [(one, other) for step in range(1, OTHERS + 1) for one, other in zip(drawn, drawn[step:], strict=False)]
    planted = [
        (problem, wrong)
        for problem in drawn
        if not problem.is_code
        for wrong in further_wrong_golds(problem.prompt.gold)[:TWICE_WRONG]
    ]
    planted += [
        (one, other.prompt.gold)
        for one, other in pairs
        if not (one.is_code or other.is_code) and certainly_differ(one.prompt.gold, other.prompt.gold)
    ]
    programs = [
        (one, other.prompt.gold) for one, other in pairs if one.is_code and other.is_code and other.tests != one.tests
    ]
    results = [
        *await checking.verdicts(desk, [(wrong, problem.prompt.gold) for problem, wrong in planted]),
        *await checking.program_verdicts(desk, [(wrong, problem.tests) for problem, wrong in programs]),
    ]
    tried = list(zip((problem.prompt.id for problem, _ in (*planted, *programs)), results, strict=True))
    accepted = Counter(prompt_id for prompt_id, result in tried if result == "correct")
    times = Counter(prompt_id for prompt_id, _ in tried)
    return share("verifier_false_positives", [(accepted[prompt_id], of) for prompt_id, of in times.items()])


def _why_not(problem: Problem, solutions: Sequence[Solution]) -> str:
    verified = [one.is_correct for one in solutions]
    if not verified:
        return "all of its samples were given up"
    if problem.prompt.is_held_out:
        return ""
    if not carries_gradient(verified):
        return SOLVED if all(verified) else UNSOLVED
    return "" if any(one.is_correct and not one.response.is_truncated for one in solutions) else CUT_OFF
