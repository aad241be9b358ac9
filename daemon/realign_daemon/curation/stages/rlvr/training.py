"""Training: stage 5 of RLVR. The target on its own verified solutions, and a control whose rewards mean nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.stages.dataset import replay_rows, store
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.curation.stages.rlvr.problem import Problem, Solution, best_and_shortest, sound
from realign_daemon.curation.stages.rlvr.solutions import asked_as, sample
from realign_daemon.curation.stages.rlvr.verification import solutions_of
from realign_daemon.curation.stages.training import loss_change, settings
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Train, Trained
from realign_daemon.work.units import seed_for

# Rejection sampling keeps several different solutions of a problem and not all of an easy one (arXiv 2308.01825).
SOLUTIONS_PER_PROBLEM = 4
EPOCHS: Mapping[Literal["sft", "grpo"], int] = {"sft": 3, "grpo": 2}


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


async def train_on_rewards(desk: Desk, material: Material) -> Measures:
    """Trains the target by rejection sampling, GRPO or both (`--set method`), and a control; measures training_loss.

    The control is trained alike on the same samples, their rewards dealt out by chance within each problem: what it
    gains is not due to the rewards (arXiv 2506.10947).
    """
    prompts = {row.fields["prompt"] for row in material.rows if not row.is_held_out}
    problems = [problem for problem in sound(material) if problem.prompt.question in prompts]
    desk.say(f"training on {len(problems)} problems")
    learned = [group(problem, material.solutions[problem.prompt.id]) for problem in problems]
    material.show(desk.stage.name, [_shown(one) for one in learned])
    runs = await _runs(desk, problems, material.solutions, control_seed=None)
    desk.say("training the control with random rewards")
    of_control = await _runs(desk, problems, material.solutions, control_seed=desk.spec.seed)
    material.tuned, material.control = (found[-1] if found else None for found in (runs, of_control))
    # The first run's: after imitation the loss of a policy gradient has little left to fall.
    return loss_change(runs[0] if runs else None, len(problems))


async def _runs(
    desk: Desk, problems: Sequence[Problem], solutions: Mapping[str, Sequence[Solution]], *, control_seed: int | None
) -> list[Trained]:
    """The runs of the chosen methods, each from the one before; none where one failed or there is nothing to learn."""
    method = desk.spec.choice("method", "sft")
    groups = [group(one, solutions[one.prompt.id], seed=control_seed) for one in problems]
    if method == "grpo":
        return await _learned(desk, "grpo", _rollouts(desk, groups), after=[])
    taught = await _learned(desk, "sft", _conversations(desk, groups), after=[])
    if method == "sft" or not taught:
        return taught
    by_id = {problem.prompt.id: problem for problem in problems}
    fresh = await solutions_of(desk, by_id, await sample(desk, problems, adapter=taught[-1].adapter))
    rollouts = _rollouts(desk, [group(by_id[key], found, seed=control_seed) for key, found in fresh.items()])
    return await _learned(desk, "grpo", rollouts, after=taught) if rollouts else taught


async def _learned(
    desk: Desk, method: Literal["sft", "grpo"], rows: list[dict[str, Any]], *, after: Sequence[Trained]
) -> list[Trained]:
    """The earlier runs and one more, which starts where they ended; none when it failed or there are no rows."""
    if not rows:
        return []
    rows = rows + replay_rows(desk, len(rows))
    dataset = store(desk, rows)
    defaults = load(desk.pin("target").templates).solving.training(method)
    task = Train(
        model=desk.pin("target").model,
        adapter=after[-1].adapter if after else None,
        method=method,
        dataset=dataset,
        settings=settings(desk.spec, defaults, rows, epochs=EPOCHS[method]),
        seed=seed_for(desk.spec.seed, f"rlvr:{method}", 0),  # not of the rows: the control starts from the same weights
    )
    trained = await desk.train("target", task)
    return [] if trained is None else [*after, trained]


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


def _shown(one: Group) -> dict[str, object]:
    return {
        "problem": one.problem.prompt.question,
        "solutions": [solution.response.text for solution in one.solutions],
        "rewards": [round(reward, 2) for reward in one.rewards],
    }
