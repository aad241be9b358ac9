"""Problem: a question with one answer that a program can check, and a solution to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # Material holds problems, and a problem holds a prompt
    from realign_daemon.curation.material import Material, Prompt, Response
    from realign_daemon.curation.verify.result import Result
    from realign_daemon.curation.verify.text import AnswerType
    from realign_daemon.engine.api import Generate

# Format counts little beside being right, so that no form ever pays for a wrong answer.
FORMAT_REWARD = 0.1

# given: a record says so; quoted: it stands in the passage; agreed: further readings of the passage came to the same.
Grounds = Literal["given", "quoted", "agreed", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem that a record or the generator offered. One with a flaw is counted and not used."""

    prompt: Prompt  # its gold is the answer, numbers in everyday digits; of a code problem the reference program
    answer_type: AnswerType
    tests: str = ""  # of a code problem
    calls: str = ""  # how the tests use a solution, without the values that they expect
    grounds: Grounds = ""
    stated_by: Generate | None = None  # that wrote the answer; None where it was given
    flaw: str = ""  # why no program can check it

    @property
    def is_code(self) -> bool:
        """True when solutions are programs."""
        return bool(self.tests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """A response to a problem, its final answer (numbers in everyday digits), and what checking that gave."""

    response: Response
    answer: str
    is_in_form: bool  # the answer is given the way that it was asked for
    result: Result

    @property
    def is_correct(self) -> bool:
        """Whether it verifies."""
        return self.result == "correct"

    @property
    def reward(self) -> float:
        """1 for being right, and a little for the form."""
        return float(self.is_correct) + FORMAT_REWARD * self.is_in_form


def best_and_shortest(reward: float, solution: Solution) -> tuple[float, int, str]:
    """The order of solutions: by reward, then the shorter one, since the longer one has more that may be wrong."""
    return -reward, len(solution.response.text), solution.response.text


def sound(material: Material) -> list[Problem]:
    """The problems without a known flaw."""
    return [problem for problem in material.problems if not problem.flaw]


def note_unused(material: Material, stage: str, problem: Problem, reason: str) -> None:
    """Notes that a problem goes no further, and why."""
    prompt = problem.prompt
    material.drop(stage, reason, chunk=prompt.chunk, question=prompt.question, answer=prompt.gold)
