"""Problem row: what an RLVR trainer reads of a problem, and beside it every sample with its seed and verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Row
from realign_daemon.curation.metrics.answering import pass_rate
from realign_daemon.curation.stages.rlvr.problem import Problem, Solution, best_and_shortest
from realign_daemon.curation.stages.rows import made, row

OF_ONE_SAMPLE = frozenset({"seed", "unit", "node"})  # what differs between samples of one problem


def problem_row(desk: Desk, problem: Problem, solutions: Sequence[Solution], *, checker: str) -> Row:
    """The row of a problem that was sampled: `solution` is a verified one in the model's words, "" where none is.

    `prompt` is the bare problem. Its provenance has the conversation that the samples were asked in, which is what a
    trainer gives the model, too: `pass_rate` is of that.
    """
    verified = pass_rate([one.is_correct for one in solutions])
    assert verified is not None, "only problems with samples make rows"
    best = min(solutions, key=lambda one: best_and_shortest(one.reward, one))
    fields: dict[str, Any] = {
        "prompt": problem.prompt.question,
        "answer": problem.prompt.gold,
        "answer_type": problem.answer_type,
        "pass_rate": round(verified, 4),
        "solution": best.response.text if best.is_correct else "",
    }
    if problem.is_code:
        fields["tests"] = problem.tests
    asked_as = next(one.response.task.messages for one in solutions if one.response.task is not None)
    evidence = [made(desk, "target", one.response.task) or {} for one in solutions]
    return row(
        desk,
        problem.prompt,
        fields,
        prompt_id=problem.prompt.id,
        answer_grounds=problem.grounds,
        answered_by=made(desk, "generator", problem.stated_by),
        sampled_by={key: value for key, value in evidence[0].items() if key not in OF_ONE_SAMPLE},
        asked_as=[{"role": turn.role, "content": turn.content} for turn in asked_as],
        checker={
            "name": checker,
            "answer_type": problem.answer_type,
            "verdicts": dict(Counter(one.result for one in solutions)),
        },
        samples=[
            {
                **{key: value for key, value in one_made.items() if key in OF_ONE_SAMPLE},
                "answer": one.answer,
                "result": one.result,
                "reward": one.reward,
            }
            for one, one_made in zip(solutions, evidence, strict=True)
        ],
    )
