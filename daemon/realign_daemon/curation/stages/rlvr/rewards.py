"""Rewards: stage 4 of RLVR. Which problems have something to teach, the rows they make, and a test of the verifier."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.metrics.answering import carries_gradient
from realign_daemon.curation.stages import hygiene
from realign_daemon.curation.stages.measures import Measures, exact, rate
from realign_daemon.curation.stages.rlvr import checking
from realign_daemon.curation.stages.rlvr.problem import Problem, note_unused, sound
from realign_daemon.curation.stages.rlvr.problem_rows import problem_row
from realign_daemon.curation.verify.perturb import certainly_differ, further_wrong_golds
from realign_daemon.work.units import seed_for
from realign_planner.gates import Measure

# Of each problem; own choice: from some fifty problems on enough for an interval that lies below the gate's 1 %.
TWICE_WRONG, OTHERS = 6, 3

SOLVED, UNSOLVED = "every sample solves it", "no sample solves it"


async def calculate_rewards(desk: Desk, material: Material) -> Measures:
    """Stage 4. Pass rates, and a row for every problem that is held out or solved by some samples and not by all.

    Held-out problems stay whatever their pass rate: choosing among them by it would bias what is measured on them.
    Measures verifier_false_positives; reports pass_rate (the mean) and band_fraction (the share between 0 and 1).
    """
    problems = sound(material)
    verified = {key: [one.is_correct for one in found] for key, found in material.solutions.items()}
    sampled = [problem for problem in problems if problem.prompt.id in verified]
    reasons = reasons_to_drop(problems, verified, count=desk.spec.count, seed=desk.spec.seed)
    for problem, reason in zip(problems, reasons, strict=True):
        if reason:
            note_unused(material, desk.stage.name, problem, reason)
    kept = [problem for problem, reason in zip(problems, reasons, strict=True) if not reason]
    rows = [problem_row(desk, problem, material.solutions[problem.prompt.id]) for problem in kept]
    material.rows = await hygiene.clean_rows(desk, material, rows)
    material.show(desk.stage.name, [row.fields for row in material.rows])
    rates = [fmean(verified[problem.prompt.id]) for problem in sampled]
    in_band = sum(carries_gradient(verified[problem.prompt.id]) for problem in sampled)
    return {
        "verifier_false_positives": await false_positives(desk, problems),
        **exact("pass_rate", fmean(rates) if rates else None, len(rates)),
        **exact("band_fraction", in_band / len(sampled) if sampled else None, len(sampled)),
    }


def reasons_to_drop(
    problems: Sequence[Problem], verified: dict[str, list[bool]], *, count: int | None, seed: int
) -> list[str]:
    """Why each problem makes no row, in their order; empty for one that does.

    Of the good ones `count` at most are for training, drawn by hash; held-out ones take no room.
    """
    reasons = [_why_not(problem, verified.get(problem.prompt.id, [])) for problem in problems]
    good = [
        problem.prompt.id
        for problem, reason in zip(problems, reasons, strict=True)
        if not reason and not problem.prompt.is_held_out
    ]
    drawn = sorted(good, key=lambda prompt_id: seed_for(seed, prompt_id, 0))
    spare = frozenset(drawn[len(drawn) if count is None else count :])
    return [
        "more rows than --count asked for" if problem.prompt.id in spare else reason
        for problem, reason in zip(problems, reasons, strict=True)
    ]


async def false_positives(desk: Desk, problems: Sequence[Problem]) -> Measure:
    """The share of planted wrong answers that the verifier accepts.

    Planted are answers that the problems were not chosen by: made wrong twice over, and the answers and programs of
    other problems. Once wrong ones would not do, since a problem of which the verifier accepts one is left out.
    """
    desk.say("planting wrong answers")
    drawn = sorted(problems, key=lambda problem: seed_for(desk.spec.seed, problem.prompt.id, 0))
    pairs = [(one, other) for step in range(1, OTHERS + 1) for one, other in zip(drawn, drawn[step:], strict=False)]
    planted = [
        (wrong, problem.prompt.gold)
        for problem in drawn
        if not problem.is_code
        for wrong in further_wrong_golds(problem.prompt.gold)[:TWICE_WRONG]
    ]
    planted += [
        (other.prompt.gold, one.prompt.gold)
        for one, other in pairs
        if not (one.is_code or other.is_code) and certainly_differ(one.prompt.gold, other.prompt.gold)
    ]
    programs = [
        (other.prompt.gold, one.tests)
        for one, other in pairs
        if one.is_code and other.is_code and other.tests != one.tests
    ]
    results = [*await checking.verdicts(desk, planted), *await checking.program_verdicts(desk, programs)]
    return rate("verifier_false_positives", results.count("correct"), len(results))


def _why_not(problem: Problem, verified: Sequence[bool]) -> str:
    if not verified:
        return "all of its samples were given up"
    if problem.prompt.is_held_out or carries_gradient(verified):
        return ""
    return SOLVED if all(verified) else UNSOLVED
