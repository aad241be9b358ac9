"""Several judges: their qualities are averaged, most of them decide, and how far they agree is reported."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from realign_daemon.curation.material import Material, Prompt, Response
from realign_daemon.curation.spec import ModelPin
from realign_daemon.curation.stages import evaluation, judging
from realign_daemon.engine.api import Fill, Filled, Generated, ModelId, Sha256, Trained
from realign_daemon.testing.scripted_desk import PIN, ScriptedDesk, asked, generation, prompt

LENIENT, STRICT, BLIND = (replace(PIN, name=name, model=ModelId(name)) for name in ("lenient", "strict", "blind"))


def filled(*probabilities: float) -> Filled:
    return Filled(probabilities=(probabilities,), mass=(1.0,), prompt_tokens=1)


def answers(task: Any) -> Filled:
    """Two judges who know which answer is good, one of them strict, and one who always says A."""
    line = asked(task)
    if line.startswith("C"):
        return filled(*((1, 0, 0) if task.model == "blind" or "=good|" in line else (0, 1, 0)))
    if line.endswith("good"):
        return filled(0, 0, 0, 0, 1) if task.model != "strict" else filled(0, 0, 1, 0, 0)
    return filled(1, 0, 0, 0, 0)


def responses(prompts: list[Prompt]) -> list[Response]:
    return [
        Response(prompt=one, text=text, task=generation(), is_truncated=False)
        for one in prompts
        for text in ("good", "bad")
    ]


async def test_qualities_of_several_judges_are_averaged_and_their_agreement_is_reported() -> None:
    desk = ScriptedDesk(answers, roles=dict.fromkeys(("target", "generator", "judge"), LENIENT), judges=(STRICT,))
    asked_about = [prompt("1="), prompt("2=")]
    material = Material(prompts=asked_about, responses=responses(asked_about))

    found = await judging.score_pairs(desk, material)

    assert [pair.chosen.quality for pair in material.pairs] == [pytest.approx((10 + 5.5) / 2)] * 2
    assert found["agreement_rate"].value == 1.0
    assert found["judge_agreement"].value == 1.0
    assert "judge_kappa" not in found, "agreement beyond chance is not defined where both say one thing only"


async def graders(judge: ModelPin, *others: ModelPin) -> tuple[set[tuple[str, str]], list[str]]:
    """Who grades the task metric by which template, and what the job is warned of."""
    desk = ScriptedDesk(
        lambda task: (
            Filled(probabilities=((0, 0, 0, 0, 1),) * len(task.form), mass=(1.0,) * len(task.form), prompt_tokens=1)
            if isinstance(task, Fill)
            else Generated(text="an answer", finish_reason="stop", prompt_tokens=1, completion_tokens=1, logprob=0.0)
        ),
        roles={"target": PIN, "generator": PIN, "judge": judge},
        judges=others,
    )
    tuned = Trained(adapter=Sha256("a"), steps=1, points=(), step_losses=(), trained_tokens=1)
    material = Material(prompts=[prompt("1=", is_held_out=True)], tuned=tuned)
    await evaluation.quality_change(desk, material)
    return {(task.model, task.template) for task in desk.tasks if isinstance(task, Fill)}, desk.record.warnings


async def test_what_was_learned_is_not_graded_by_the_rubric_that_picked_the_pairs() -> None:
    judge = replace(PIN, templates="standard")
    assert await graders(judge) == ({("m", "standard.rubric_again@2")}, [])


async def test_of_several_judges_those_beside_the_first_grade_what_was_learned() -> None:
    judge, second = (replace(pin, templates="standard") for pin in (PIN, STRICT))
    assert await graders(judge, second) == ({("strict", "standard.rubric_again@2")}, [])


async def test_a_template_set_with_one_way_to_grade_claims_no_freshness() -> None:
    _, (warning,) = await graders(PIN)
    assert warning.startswith("task_metric is judged as the pairs were picked, not afresh")


async def test_most_judges_decide_and_one_who_always_says_a_is_found_out() -> None:
    panel = ScriptedDesk(
        answers, roles=dict.fromkeys(("target", "generator", "judge"), LENIENT), judges=(STRICT, BLIND)
    )
    alone = ScriptedDesk(answers, roles=dict.fromkeys(("target", "generator", "judge"), BLIND))
    asked_about = [prompt("1=")]

    outvoted = await judging.score_pairs(panel, Material(prompts=asked_about, responses=responses(asked_about)))
    biased = await judging.score_pairs(alone, Material(prompts=asked_about, responses=responses(asked_about)))

    assert outvoted["agreement_rate"].value == 1.0
    assert outvoted["judge_agreement"].value == pytest.approx(1 / 3)
    assert biased["agreement_rate"].value == 0.0
    assert "judge_agreement" not in biased
