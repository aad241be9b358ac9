"""Group: the samples of one problem with their rewards, and the rows that a trainer reads of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.stages.rlvr.problem import Problem, Solution, best_and_shortest
from realign_daemon.curation.stages.rlvr.solutions import asked_as
from realign_daemon.curation.templates import load
from realign_daemon.work.units import seed_for

Method = Literal["sft", "grpo"]

# Rejection sampling keeps several different solutions of a problem and not all of an easy one (arXiv 2308.01825).
SOLUTIONS_PER_PROBLEM = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The samples of one problem, and a reward for each."""

    problem: Problem
    solutions: tuple[Solution, ...]
    rewards: tuple[float, ...]

    @property
    def accepted(self) -> list[Solution]:
        """Those rewarded as right: the best rewarded first, then the shortest."""
        paired = sorted(zip(self.rewards, self.solutions, strict=True), key=lambda pair: best_and_shortest(*pair))
        return [solution for reward, solution in paired if reward >= 1][:SOLUTIONS_PER_PROBLEM]

    @property
    def advantages(self) -> list[float]:
        """Reward minus the group's mean; dividing by its deviation would favour what is nearly solved (2503.20783)."""
        mean = fmean(self.rewards) if self.rewards else 0.0
        return [round(reward - mean, 6) for reward in self.rewards]


def group(problem: Problem, solutions: Sequence[Solution], *, seed: int | None = None) -> Group:
    """The problem's finished samples with their rewards; with a seed the same rewards dealt out to them by chance.

    A solution that was cut off is left out: it would teach to end there (the overlong filtering of DAPO, 2503.14476).
    """
    solutions = [one for one in solutions if not one.response.is_truncated]
    order = list(range(len(solutions)))
    if seed is not None:
        order.sort(key=lambda place: seed_for(seed, f"control:{problem.prompt.id}", place))
    return Group(problem=problem, solutions=tuple(solutions), rewards=tuple(solutions[place].reward for place in order))


def rows_of(desk: Desk, method: Method, groups: Sequence[Group]) -> list[dict[str, Any]]:
    """What a trainer reads: the accepted solutions as conversations, or every sample whose reward is not the mean."""
    return _conversations(desk, groups) if method == "sft" else _rollouts(desk, groups)


def _conversations(desk: Desk, groups: Sequence[Group]) -> list[dict[str, Any]]:
    return [
        {
            "split": "train",
            "messages": [*_asked(desk, one.problem), {"role": "assistant", "content": solution.response.text}],
        }
        for one in groups
        for solution in one.accepted
    ]


def _rollouts(desk: Desk, groups: Sequence[Group]) -> list[dict[str, Any]]:
    return [
        {
            "split": "train",
            "prompt": _asked(desk, one.problem),
            "completion": solution.response.text,
            "advantage": advantage,
            "group": one.problem.prompt.id,
        }
        for one in groups
        for solution, advantage in zip(one.solutions, one.advantages, strict=True)
        if advantage
    ]


def _asked(desk: Desk, problem: Problem) -> list[dict[str, str]]:
    template = load(desk.pin("target").templates).template("program" if problem.is_code else "solution")
    return [{"role": message.role, "content": message.content} for message in asked_as(template, problem)]
