"""Training: stage 5 of RLVR. The target on its own verified solutions, and a control whose rewards mean nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.stages import hygiene, measures
from realign_daemon.curation.stages.dataset import replay_rows, store
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.stages.rlvr.group import Group, Method, group, rows_of
from realign_daemon.curation.stages.rlvr.problem import Problem, Solution, sound
from realign_daemon.curation.stages.rlvr.solutions import sample
from realign_daemon.curation.stages.rlvr.verification import solutions_of
from realign_daemon.curation.stages.training import loss_change, settings
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Train, Trained
from realign_daemon.work.units import seed_for
from realign_planner.gates import Measure

EPOCHS: Mapping[Method, int] = {"sft": 3, "grpo": 2}
# Own choice: as many as the gate of the gain in pass@1 wants held-out ones.
REWARDED_PROBLEMS = 100


async def train_on_rewards(desk: Desk, material: Material) -> Measures:
    """Trains the target by rejection sampling, GRPO or both (`--set method`), and a control; measures training_reward.

    The control is trained alike on the same samples, their rewards dealt out by chance within each problem: what it
    gains is not due to the rewards (arXiv 2506.10947). Reports the reward before and after and, of rejection sampling,
    training_loss; that of a policy gradient is about zero throughout, whatever is learned.
    """
    learned_from = {row.provenance["prompt_id"] for row in material.rows if not row.is_held_out}
    problems = [problem for problem in sound(material) if problem.prompt.id in learned_from]
    desk.say(f"training on {len(problems)} problems")
    groups = [group(problem, material.solutions[problem.prompt.id]) for problem in problems]
    material.show(desk.stage.name, [_shown(one) for one in groups])
    method = desk.spec.choice("method", "sft")
    if not rows_of(desk, _first(method), groups):
        desk.warn(_nothing_to_learn(method, len(problems)))
        material.tuned = material.control = None
        return {"training_reward": Measure(metric="training_reward", value=None, n=0)}
    runs = await _runs(desk, problems, material.solutions, control_seed=None)
    desk.say("training the control with random rewards")
    of_control = await _runs(desk, problems, material.solutions, control_seed=desk.spec.seed)
    material.tuned, material.control = (found[-1] if found else None for found in (runs, of_control))
    imitation = loss_change(runs[0] if runs else None, len(problems)) if _first(method) == "sft" else {}
    return {**await _reward_change(desk, material, runs), **imitation}


async def _reward_change(desk: Desk, material: Material, runs: Sequence[Trained]) -> Measures:
    """training_reward: how much more reward the trained model gets for problems that are not held out; with both means.

    Over problems of any pass rate, drawn by hash: those that were chosen by their samples look better or worse in them
    than they are. Not a number where training failed or its loss was not finite.
    """
    offered = [one for one in sound(material) if not one.prompt.is_held_out and one.prompt.id in material.solutions]
    drawn = sorted(offered, key=lambda one: seed_for(desk.spec.seed, one.prompt.id, 0))[:REWARDED_PROBLEMS]
    if not runs or not all(math.isfinite(loss) for run in runs for loss in run.step_losses):
        return exact("training_reward", math.nan, len(drawn))
    desk.say(f"solving {len(drawn)} problems again")
    problems = {one.prompt.id: one for one in drawn}
    after = await solutions_of(desk, problems, await sample(desk, drawn, adapter=runs[-1].adapter))
    was, now = ([_mean_reward(found[key]) for key in after] for found in (material.solutions, after))
    return {
        "training_reward": await measures.mean(
            desk, "training_reward", [later - earlier for earlier, later in zip(was, now, strict=True)]
        ),
        **exact("reward_before", fmean(was) if was else None, len(was)),
        **exact("reward_after", fmean(now) if now else None, len(now)),
    }


def _mean_reward(solutions: Sequence[Solution]) -> float:
    return fmean(one.reward for one in solutions)


def _first(method: str) -> Method:
    """What the first run of a method is."""
    return "grpo" if method == "grpo" else "sft"


def _nothing_to_learn(method: str, problems: int) -> str:
    wanted = {"sft": "a right solution that came to its end", "grpo": "finished solutions of different reward"}
    return (
        f"nothing was trained: of {problems} problems none has {wanted[_first(method)]}; "
        "raise `--set samples=N` or `--set max_tokens=N`, or give more problems of middling difficulty"
    )


async def _runs(
    desk: Desk, problems: Sequence[Problem], solutions: Mapping[str, Sequence[Solution]], *, control_seed: int | None
) -> list[Trained]:
    """The runs of the chosen methods, each from the one before; none where one failed or there is nothing to learn."""
    method = desk.spec.choice("method", "sft")
    groups = [group(one, solutions[one.prompt.id], seed=control_seed) for one in problems]
    first = await _learned(desk, _first(method), rows_of(desk, _first(method), groups), after=[])
    if method != "both" or not first:
        return first
    by_id = {problem.prompt.id: problem for problem in problems}
    fresh = await solutions_of(desk, by_id, await sample(desk, problems, adapter=first[-1].adapter))
    rollouts = rows_of(desk, "grpo", [group(by_id[key], found, seed=control_seed) for key, found in fresh.items()])
    return await _learned(desk, "grpo", rollouts, after=first) if rollouts else first


async def _learned(
    desk: Desk, method: Method, rows: list[dict[str, Any]], *, after: Sequence[Trained]
) -> list[Trained]:
    """The earlier runs and one more, which starts where they ended; none when it failed or there are no rows.

    What is learned is as free of personal data as the rows that are handed over.
    """
    if not rows:
        return []
    if desk.spec.choice("pii", "redact") != "keep":
        rows = [row for row, _ in await hygiene.redacted(desk, rows)]
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


def _shown(one: Group) -> dict[str, object]:
    return {
        "problem": one.problem.prompt.question,
        "solutions": [solution.response.text for solution in one.solutions],
        "rewards": [round(reward, 2) for reward in one.rewards],
    }
