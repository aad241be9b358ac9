"""Several judges: their qualities are averaged, most of them decide, and how far they agree is reported."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from realign_daemon.curation.material import Material, Prompt, Response
from realign_daemon.curation.stages import judging
from realign_daemon.engine.api import Filled, ModelId
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
