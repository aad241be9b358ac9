"""RLVR: defects of problems, of their golds, of the verifier, and of rewards that teach nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from realign_daemon.curation.metrics.answering import carries_gradient
from realign_daemon.curation.selftest.checks import Drops, Gate
from realign_daemon.curation.selftest.defect import Check, Defect, Plant
from realign_daemon.curation.selftest.outputs import NO_PROMPTS
from realign_daemon.curation.selftest.sayings import is_of
from realign_daemon.curation.selftest.training import NOT_TRAINED, diverging
from realign_daemon.curation.selftest.trial import Trial
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.curation.stages.rlvr import extraction, rewards
from realign_daemon.curation.stages.rlvr.problem import Problem, Solution, sound
from realign_daemon.curation.stages.rlvr.verification import UNCHECKABLE, solutions_of
from realign_daemon.curation.verify.perturb import wrong_golds
from realign_daemon.curation.verify.result import Result as Verdict
from realign_daemon.engine.api import Generate, Generated, Result, Task

NO_PROBLEMS = "there are no problems that can be checked"
NONE_TO_LEARN = "no problem for training is solved now and then"
UNPARSEABLE = r"\frac{1}{"  # LaTeX that breaks off
# Every one of their wrong golds is compared with every sample, which takes a hundredth of a second each.
WRONG_GOLDS = 3

FIGURE, PROOF = "the problem needs a figure", "the problem asks for a proof"
PROBLEMS = {
    FIGURE: ("In the figure above, how many degrees has the angle at the top of the triangle?", "40"),
    PROOF: ("Prove that the sum of two odd numbers is even.", "2"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifiability(Gate):
    """The gate of problems that a program can check, as they were before it said so of any."""

    async def measures(self, trial: Trial) -> Measures:
        """What verification measures."""
        trial.material.problems = [
            replace(problem, flaw="") if problem.flaw.startswith(UNCHECKABLE) else problem
            for problem in trial.material.problems
        ]
        return await trial.measures(self.stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class FalsePositives(Gate):
    """The gate of wrong answers that the verifier accepts, without the rest of its stage."""

    async def measures(self, trial: Trial) -> Measures:
        """What planting wrong answers measures."""
        return {self.name: await rewards.false_positives(trial.desk, sound(trial.material))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Band(Check):
    """Fires when all problems that were planted are dropped for their pass rate; or one that became a row."""

    async def fires(self, trial: Trial) -> str:
        """How many were dropped."""
        problems = sound(trial.material)
        reasons = rewards.reasons_to_drop(problems, await _verified(trial))
        wanted = set(trial.planted)
        kept = wanted or {str(row.provenance.get("question")) for row in trial.material.rows}
        caught = {
            problem.prompt.question
            for problem, reason in zip(problems, reasons, strict=True)
            if reason == self.name and problem.prompt.question in kept
        }
        return f"{len(caught)} dropped: {self.name}" if caught and caught >= wanted else ""


def of_problems(stage: str) -> tuple[Defect, ...]:
    """Of the stage that finds problems."""
    return (
        Defect(
            name="problems that need a figure",
            check=Drops(stage=stage, name=FIGURE, part=_settled),
            plant=_asked(FIGURE),
        ),
        Defect(
            name="problems that ask for a proof",
            check=Drops(stage=stage, name=PROOF, part=_settled),
            plant=_asked(PROOF),
        ),
    )


def of_verification(stage: str) -> Defect:
    """Of the stage that checks what can be checked."""
    return Defect(
        name="golds that cannot be parsed",
        check=Verifiability(stage=stage, name="verifiability", whole=True),
        plant=_unparseable,
    )


def of_rewards(stage: str) -> tuple[Defect, ...]:
    """Of the stage that turns verdicts into rewards."""
    return (
        Defect(name="wrong golds", check=Band(stage=stage, name=rewards.UNSOLVED), plant=_wrong_golds),
        Defect(
            name="problems that every sample solves", check=Band(stage=stage, name=rewards.SOLVED), plant=_all_right
        ),
        Defect(
            name="a verifier that accepts wrong answers",
            check=FalsePositives(stage=stage, name="verifier_false_positives", whole=True),
            plant=_accepting,
        ),
    )


def of_rewarded_training(stage: str) -> tuple[Defect, ...]:
    """Of the stage that trains on rewards."""
    reward = Gate(stage=stage, name="training_reward", whole=True)
    return (
        Defect(name="a training that diverges", check=reward, plant=diverging),
        Defect(name="a model that earns less", check=reward, plant=_unsolving),
    )


def of_control(stage: str) -> Defect:
    """Of the stage that compares with random rewards."""
    return Defect(
        name="rewards that teach less than random ones",
        check=Gate(stage=stage, name="gain_over_random", whole=True),
        plant=_unsolving,
    )


def of_gain(stage: str) -> Defect:
    """Of the stage that solves held-out problems again."""
    return Defect(
        name="a model that solves less", check=Gate(stage=stage, name="pass_gain", whole=True), plant=_unsolving
    )


async def _verified(trial: Trial) -> dict[str, list[Solution]]:
    """The solutions by prompt id; those that a defect took away are verified again."""
    known = trial.material.solutions
    problems = {one.prompt.id: one for one in sound(trial.material) if one.prompt.id not in known}
    responses = [response for response in trial.material.responses if response.prompt.id in problems]
    return known | await solutions_of(trial.desk, problems, responses)


async def _settled(trial: Trial) -> None:
    """Of an untouched trial the prompts of sound problems: the others have flaws of their own."""
    if not trial.planted:
        usable = {problem.prompt.id for problem in sound(trial.material)}
        trial.material.prompts = [prompt for prompt in trial.material.prompts if prompt.id in usable]
    trial.material.problems = []
    await extraction.settle(trial.desk, trial.material)


def _asked(flaw: str) -> Plant:
    def plant(trial: Trial) -> str:
        if not trial.material.prompts:
            return NO_PROMPTS
        question, gold = PROBLEMS[flaw]
        form = trial.material.prompts[0]
        trial.material.prompts = [replace(form, id=flaw, question=question, gold=gold, task=None)]
        trial.material.records = []
        trial.planted = (question,)
        return ""

    return plant


def _unparseable(trial: Trial) -> str:
    problems = sound(trial.material)
    trial.material.problems = [_with_gold(problem, UNPARSEABLE) for problem in problems if not problem.is_code]
    return "" if trial.material.problems else NO_PROBLEMS


def _wrong_golds(trial: Trial) -> str:
    """Golds that no sample comes to, so that being solved would be a mistake of the verifier."""
    spoiled: dict[str, Problem] = {}
    for problem in _learnable(trial):
        said = {solution.answer for solution in trial.material.solutions[problem.prompt.id]}
        wrong = [gold for gold in wrong_golds(problem.prompt.gold) if gold not in said]
        if wrong and not problem.is_code and len(spoiled) < WRONG_GOLDS:
            spoiled[problem.prompt.id] = _with_gold(problem, trial.chance.choice(wrong))
    trial.material.problems = [spoiled.get(one.prompt.id, one) for one in trial.material.problems]
    trial.material.solutions = {key: found for key, found in trial.material.solutions.items() if key not in spoiled}
    trial.planted = tuple(problem.prompt.question for problem in spoiled.values())
    return "" if trial.planted else NONE_TO_LEARN


def _all_right(trial: Trial) -> str:
    problems = _learnable(trial)
    for problem in problems:
        solutions = trial.material.solutions[problem.prompt.id]
        trial.material.solutions[problem.prompt.id] = [replace(one, result="correct") for one in solutions]
    trial.planted = tuple(problem.prompt.question for problem in problems)
    return "" if trial.planted else NONE_TO_LEARN


def _accepting(trial: Trial) -> str:
    _verifier(trial, lambda _: True)
    return "" if sound(trial.material) else NO_PROBLEMS


def _unsolving(trial: Trial) -> str:
    """A tuned model that answers nothing beside models that solve everything."""
    tuned = trial.desk.tuned
    if tuned is None:
        return NOT_TRAINED

    def answers(task: Task, known: Result | None) -> Result | None:
        is_after = isinstance(task, Generate) and task.adapter == tuned.adapter and is_of(task, "solution", "program")
        return replace(known, text="") if is_after and isinstance(known, Generated) else known

    trial.desk.answers = answers
    _verifier(trial, bool)
    held_out = any(problem.prompt.is_held_out for problem in sound(trial.material))
    return "" if held_out else "no problem is held out"


def _verifier(trial: Trial, accepts: Callable[[str], bool]) -> None:
    """Has the verifier accept answers and programs for what they look like."""

    def verdicts(items: Sequence[Mapping[str, str]], **_: object) -> list[Verdict]:
        return ["correct" if accepts(item.get("answer", item.get("program", ""))) else "wrong" for item in items]

    trial.desk.functions |= {"verify.math.2": verdicts, "verify.code": verdicts}


def _learnable(trial: Trial) -> list[Problem]:
    """The problems for training that some samples solve and others do not."""
    verified = {key: [one.is_correct for one in found] for key, found in trial.material.solutions.items()}
    return [
        problem
        for problem in sound(trial.material)
        if not problem.prompt.is_held_out and carries_gradient(verified.get(problem.prompt.id, []))
    ]


def _with_gold(problem: Problem, gold: str) -> Problem:
    return replace(problem, prompt=replace(problem.prompt, gold=gold))
