"""Anti-hallucination: what each stage measures, keeps and drops, over a scripted model that knows some names."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.curation.antihallucination_world import (
    FEW,
    KNOWN,
    NAMES,
    STAGES,
    STRANGERS,
    TRAINED,
    Model,
    desk_of,
    generated,
    grade,
    held_out,
    probe,
    run,
    share,
    tiers,
)

from realign_daemon.curation.material import Material
from realign_daemon.curation.stages.antihallucination.parts import parts_of
from realign_daemon.engine.api import Fill, Filled
from realign_daemon.testing.scripted_desk import asked, prompt


async def test_a_model_that_knows_what_it_knows_passes_every_gate() -> None:
    desk, material = desk_of(Model(), names=[*sorted(KNOWN), *STRANGERS]), Material()

    found = await run(desk, material)

    assert tiers(found) == {
        **dict.fromkeys(metric for stage in STAGES for metric in stage.gates),
        **dict.fromkeys(tiers(found), "HIGH"),
        "regression": "INSUFFICIENT",  # there are no suites
    }
    assert found["known_fraction"].value == pytest.approx(0.8, abs=0.02)
    assert int(FEW["calibration_error.min_n"]) <= found["calibration_error"].n < found["brier"].n / 2
    assert (found["refusal_precision"].value, found["over_refusal"].value) == (1.0, 0.0)
    assert [material.exhibits[stage.name] != [] for stage in STAGES] == [True] * 7
    labels = Counter(row.fields["label"] for row in material.rows if not row.is_held_out)
    assert labels["abstain"] <= labels["answer"] <= 2 * labels["abstain"]
    asked_for = {(row.fields["label"], row.fields["messages"][1]["content"]) for row in material.rows}
    assert asked_for == {("answer", "red"), ("abstain", "?")}
    (training,) = desk.trainings
    rows = [json.loads(line) for line in desk.blobs.read(training.dataset).decode().splitlines()]
    assert {row["split"] for row in rows} == {"train"}
    assert {row["messages"][0]["content"] for row in rows} == {
        row.fields["messages"][0]["content"] for row in material.rows if not row.is_held_out
    }


async def test_confidence_that_goes_with_the_truth_is_calibrated_on_questions_of_its_own() -> None:
    material = Material(probes=held_out(), tuned=TRAINED)

    found = await run(desk_of(Model()), material, "calibration")

    assert tiers(found) == {"calibration_error": "HIGH", "auroc_after": "HIGH"}
    before, after = found["unscaled_calibration_error"].value, found["calibration_error"].value
    assert before is not None
    assert after is not None
    assert after < 0.5 * before
    assert found["answered_fraction"].value == pytest.approx(0.6, abs=0.1)


@pytest.mark.parametrize("method", ["best", "temperature", "platt", "isotonic"])
async def test_confidence_that_leads_astray_is_rejected_by_the_gate_of_calibration(method: str) -> None:
    """On the questions of the scale it goes with the truth; on those that count it goes against it."""
    parts = parts_of(held_out(), seed=0)
    in_scale = {one.prompt.question: parts.of(one.prompt) == "scaling" for one in held_out()}

    def spoiled(said: str, _: float) -> float:
        name, text = said.split("=")
        return 0.9 if text.startswith("red") == in_scale[f"{name}="] else 0.1

    material = Material(probes=held_out(), tuned=TRAINED)
    desk = desk_of(Model(thinks=spoiled), settings={"scaling": method})

    assert tiers(await run(desk, material, "calibration")) == {"calibration_error": "REJECT", "auroc_after": "REJECT"}


@pytest.mark.parametrize("method", ["best", "platt", "isotonic"])
async def test_a_scale_cannot_make_a_confidence_that_says_nothing_pass(method: str) -> None:
    """Fitted, it says how often the model is right on the whole: calibrated, and of no use."""

    def says_nothing(task: Any) -> Any:
        if isinstance(task, Fill):
            return Filled(probabilities=((0.2,) * 5,), mass=(1.0,), prompt_tokens=1)
        return generated("red" if share(asked(task), task.seed) < 0.6 else "blue", 0.5)

    golds = [replace(one, question=replace(one.question, prompt=replace(one.prompt, gold="red"))) for one in held_out()]
    desk = desk_of(says_nothing, settings={"scaling": method, "samples": "2"})

    found = await run(desk, Material(probes=golds, tuned=TRAINED), "calibration")

    assert tiers(found) == {"calibration_error": "HIGH", "auroc_after": "REJECT"}


async def test_where_a_single_section_is_held_out_the_scale_has_passages_of_it_and_a_warning_says_so() -> None:
    desk = desk_of(Model())
    found = await run(desk, Material(probes=held_out(sections=1), tuned=TRAINED), "calibration")
    assert tiers(found)["calibration_error"] == "HIGH"
    assert {warning.partition(",")[0] for warning in desk.record.warnings} == {
        "the held-out questions come from a single section"
    }


async def test_a_question_and_its_twin_are_one_of_those_that_an_interval_counts() -> None:
    """Twins that change as their questions do tell nothing new: the interval is that of the questions alone."""

    def refuses_strangers(task: Any) -> Any:
        if isinstance(task, Fill):
            return grade(asked(task), 5)
        return generated("?" if task.adapter and asked(task)[:4] in STRANGERS else "blue")

    alone = [probe(name, "wwww", is_held_out=True, section=str(place % 9)) for place, name in enumerate(NAMES[:500])]
    twins = [
        replace(one, question=replace(one.question, prompt=replace(one.prompt, id=f"twin {place}"), twin=one.prompt.id))
        for place, one in enumerate(alone)
    ]

    found = [
        (await run(desk_of(refuses_strangers), Material(probes=probes, tuned=TRAINED), "validation", "evaluation"))
        for probes in (alone, alone + twins)
    ]

    for metric in ("abstention_gain", "wrong_answer_fall"):
        assert found[0][metric] == found[1][metric]
        assert found[0][metric].low is not None
    assert 2 * found[0]["wrong_before"].n == found[1]["wrong_before"].n


async def test_a_model_that_refuses_what_it_knows_is_rejected() -> None:
    material = Material(probes=held_out(), tuned=TRAINED)
    found = await run(desk_of(Model(refuses_known=0.5)), material, "validation")
    assert found["over_refusal"].value == pytest.approx(0.5, abs=0.1)
    assert tiers(found)["over_refusal"] == "REJECT"


async def test_a_model_that_goes_on_inventing_gains_nothing_and_is_no_better() -> None:
    material = Material(probes=held_out(), tuned=TRAINED)
    found = await run(desk_of(Model(refuses_strangers=0.0)), material, "validation", "evaluation")
    assert (found["abstention_gain"].value, found["wrong_answer_fall"].value) == (0.0, 0.0)
    assert (tiers(found)["abstention_gain"], tiers(found)["wrong_answer_fall"]) == ("MEDIUM", "MEDIUM")
    assert found["wrong_after"].value == found["wrong_before"].value


async def test_gains_are_paired_points_at_each_confidence_target() -> None:
    material = Material(probes=held_out(), tuned=TRAINED)
    found = await run(desk_of(Model(refuses_strangers=1.0)), material, "validation", "evaluation")
    wrong, right = found["wrong_before"].value, found["right_before"].value
    assert wrong is not None
    assert right is not None
    assert (found["wrong_answer_fall"].value, found["wrong_after"].value) == (wrong, 0)
    assert found["abstention_gain"].value == pytest.approx(3 * wrong)
    for target, cost in ((50, 1), (75, 3), (90, 9)):
        assert found[f"abstention_{target}_before"].value == pytest.approx(right - cost * wrong)
        assert found[f"abstention_{target}_after"].value == pytest.approx(right)


async def test_nothing_trained_is_nothing_to_measure() -> None:
    material = Material(probes=held_out())
    found = await run(desk_of(Model()), material, "calibration", "validation", "evaluation")
    assert {tier for metric, tier in tiers(found).items() if metric != "regression"} == {"INSUFFICIENT"}


async def test_a_pilot_goes_through_the_stages_before_training() -> None:
    desk, material = desk_of(Model(), names=[*sorted(KNOWN)[:12], *STRANGERS], is_pilot=True), Material()
    found = await run(desk, material, *(stage.name for stage in STAGES if stage.pilot))
    assert len(material.prompts) == 20
    assert material.rows
    assert "REJECT" not in tiers(found).values()


async def test_prompts_that_came_later_are_probed_and_the_others_stay_as_they_were() -> None:
    desk, material = desk_of(Model()), Material(prompts=[prompt("baba="), prompt("pepe=")])
    await run(desk, material, "uncertainty_calibration")
    first = list(material.probes)
    asked_before = len(desk.tasks)
    material.prompts = [*material.prompts, prompt("nunu=")]

    await run(desk, material, "uncertainty_calibration")

    assert [one.prompt.question for one in material.probes if one.question.origin == "source"] == [
        "baba=",
        "pepe=",
        "nunu=",
    ]
    assert material.probes[: len(first)] == first
    assert {asked(task).strip("G=?")[:4] for task in desk.tasks[asked_before:]} == {"nunu"}


async def test_what_was_probed_of_a_prompt_that_has_gone_goes_too() -> None:
    """A later prompt that is held out may take the place of one that is nearly the same and was for training."""
    desk, material = desk_of(Model()), Material(prompts=[prompt("baba="), prompt("pepe=")])
    await run(desk, material, "uncertainty_calibration")
    material.prompts = [prompt("pepe=")]

    await run(desk, material, "uncertainty_calibration")

    assert {one.question.twin or one.prompt.question for one in material.probes} == {"pepe="}


async def test_a_twin_that_the_target_knows_after_all_makes_no_row_but_counts_where_it_is_held_out() -> None:
    """Left out for what the target said before the training, the others would look worse than they are."""

    def knows_everything(task: Any) -> Any:
        if isinstance(task, Fill):
            return Filled(probabilities=((0.0, 0.0, 0.0, 0.0, 1.0),), mass=(1.0,), prompt_tokens=1)
        return generated("red")

    material = Material(prompts=[prompt("baba="), prompt("pepe=", is_held_out=True)])
    await run(desk_of(knows_everything), material, "uncertainty_calibration", "confidence_scoring")

    assert Counter((one.question.origin, one.knowledge) for one in material.probes) == {
        ("source", "known"): 2,
        ("absent_name", "unsure"): 2,
    }
    assert {one.reason for one in material.dropped if one.content["origin"] == "absent_name"} == {
        "the target has a right answer to a question that was meant to have none"
    }
