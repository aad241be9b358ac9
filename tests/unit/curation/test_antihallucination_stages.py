"""Anti-hallucination: what each stage measures, keeps and drops, over a scripted model that knows some names."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.curation.documents.document import Record
from realign_daemon.curation.documents.reading import Reading
from realign_daemon.curation.material import Material
from realign_daemon.curation.metrics.answering import Outcome
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.curation.stages.antihallucination import asking, refusals
from realign_daemon.curation.stages.antihallucination.agreement import agreement, usual
from realign_daemon.curation.stages.antihallucination.probe import Answer, Knowledge, Probe, Question
from realign_daemon.curation.stages.antihallucination.twins import make_twins
from realign_daemon.curation.stages.antihallucination.workflow import WORK
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.engine.api import Fill, Filled, Generate, Generated, Sha256, Trained
from realign_daemon.testing.scripted_desk import PIN, ScriptedDesk, asked, chunk, generation, prompt
from realign_planner.gates import judge
from realign_planner.workflow import for_type

STAGES = for_type("antihallucination").stages
NAMES_FILE = "names.jsonl"
TRAINED = Trained(
    adapter=Sha256("adapter"),
    steps=8,
    points=(),
    step_losses=(2.0, 2.1, 1.9, 2.0, 0.2, 0.1, 0.2, 0.1),
    trained_tokens=1,
)
SYLLABLES = [consonant + vowel for consonant in "bdfgjklmnp" for vowel in "aeiou"]
NAMES = [first + second for first in SYLLABLES for second in SYLLABLES]
KNOWN, STRANGERS = frozenset(NAMES[:400]), NAMES[400:500]
WORTH: dict[str, Outcome] = {"r": "right", "w": "wrong", "a": "abstained"}


def share(*parts: object) -> float:
    """A number in 0..1 that follows from the parts alone."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") / 2**32


def honest(_: str, chance: float) -> float:
    return chance


@dataclass(frozen=True, kw_only=True)
class Model:
    """Says "red" of names that it knows, truly, and now and then "blue"; colours of strangers, or "?" once trained."""

    refuses_known: float = 0.0  # once trained
    refuses_strangers: float = 0.95
    thinks: Callable[[str, float], float] = honest  # which probability it gives to an answer of this chance

    def __call__(self, task: Generate | Fill) -> Generated | Filled:
        line = asked(task)
        if isinstance(task, Fill):
            return grade(line, len(task.form[0].choices))
        drawn = share(line, task.seed) if task.sampler.temperature else 0.0
        text, chance = self._said(line.removesuffix("="), drawn, is_trained=task.adapter is not None)
        return generated(text, self.thinks(f"{line}{text}{task.seed}", chance))

    def _said(self, name: str, drawn: float, *, is_trained: bool) -> tuple[str, float]:
        refuses = self.refuses_known if name in KNOWN else self.refuses_strangers
        if is_trained and share(name, "refuses") < refuses:
            return "?", 0.9
        likely, other = ("red", "blue") if name in KNOWN else ("lime", "teal")
        chance = (0.7 if share(name) < 0.4 else 0.95) if name in KNOWN else 0.5
        return (likely, chance) if drawn < chance else (other, 1 - chance)


def generated(text: str, probability: float = 1.0, *, is_whole: bool = True) -> Generated:
    return Generated(
        text=text,
        finish_reason="stop" if is_whole else "length",
        prompt_tokens=1,
        completion_tokens=1,
        logprob=math.log(max(probability, 1e-9)),
    )


def grade(line: str, choices: int) -> Filled:
    """The best grade for "red" of a name that is known, the worst for all else; a shrug where no grade is asked."""
    last = float(line[1:5] in KNOWN and line.endswith("=red")) if line.startswith("G") else 1 / choices
    rest = (1 - last) / (choices - 1)
    return Filled(probabilities=((*[rest] * (choices - 1), last),), mass=(1.0,), prompt_tokens=1)


def desk_of(model: Callable[[Any], Any], *, names: Sequence[str] = (), **changes: Any) -> ScriptedDesk:
    """A desk over records that ask about these names, in twenty sections."""
    records = tuple(
        Record(line=number, fields={"question": f"{name}="}, chunk=chunk(name, text=name, section=f"{number % 20}"))
        for number, name in enumerate(names)
    )
    reading = Reading(
        name=NAMES_FILE,
        sha256="0",
        page_count=1,
        pages_without_text=(),
        sections=(),
        characters=1,
        text_ratio=1.0,
        language="en",
        chunks=(),
        records=records,
    )
    values: dict[str, Any] = {
        "trained": TRAINED,
        "blobs": {"suites": ""},
        "data_type": "antihallucination",
        "data": SourceSpec(name=NAMES_FILE, sha256=Sha256("0"), size_bytes=1),
        "readings": {NAMES_FILE: reading},
    }
    return ScriptedDesk(model, **(values | changes))


async def run(desk: ScriptedDesk, material: Material, *stages: str) -> Measures:
    """What these stages measured, all of them where none is named."""
    found: Measures = {}
    for stage in STAGES:
        if not stages or stage.name in stages:
            desk.stage.name = stage.name
            found |= await WORK.stages[stage.name](desk, material)
            assert {*stage.gates, *stage.reports} <= found.keys()
    return found


def tiers(found: Measures) -> dict[str, str]:
    gated = {metric: stage.name for stage in STAGES for metric in stage.gates}
    return {metric: judge(stage, found[metric]).tier for metric, stage in gated.items() if metric in found}


def probe(name: str, worths: str, *, twin: str = "", is_held_out: bool = False) -> Probe:
    """A question about a name and the worth of its answers by initial."""
    of = replace(prompt(f"{name}=", is_held_out=is_held_out), chunk=chunk(twin or name))
    answers = tuple(Answer(text=one, outcome=WORTH[one], probability=0.5, task=generation()) for one in worths)
    question = Question(prompt=of, origin="absent_name" if twin else "source", twin=f"{twin}=" if twin else "")
    return Probe(question=question, answers=answers, asked=8)


def held_out() -> list[Probe]:
    """Names that the model knows and strangers, all held out, as they were before training."""
    known = [probe(name, "rrrrrrrw", is_held_out=True) for name in NAMES[:150]]
    return known + [probe(name, "wwwwwwww", is_held_out=True) for name in STRANGERS]


async def test_a_model_that_knows_what_it_knows_passes_every_gate() -> None:
    desk, material = desk_of(Model(), names=[*sorted(KNOWN), *STRANGERS]), Material()

    found = await run(desk, material)

    assert tiers(found) == {
        **dict.fromkeys(metric for stage in STAGES for metric in stage.gates),
        **dict.fromkeys(tiers(found), "HIGH"),
        "regression": "INSUFFICIENT",  # there are no suites
    }
    assert found["known_fraction"].value == pytest.approx(0.8, abs=0.02)
    assert found["calibration_error"].n >= 500
    assert found["planted_caught_fraction"].value == 1.0
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

    assert tiers(found) == {"calibration_error": "HIGH"}
    before, after = found["unscaled_calibration_error"].value, found["calibration_error"].value
    assert before is not None
    assert after is not None
    assert after < 0.5 * before
    assert found["answered_fraction"].value == pytest.approx(0.6, abs=0.1)


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
async def test_confidence_that_leads_astray_is_rejected_by_the_gate_of_calibration(method: str) -> None:
    """On the questions of the scale it goes with the truth; on those that count it goes against it."""
    in_scale = {one.prompt.question: refusals.part_of(one.prompt, seed=0) == "scaling" for one in held_out()}

    def spoiled(said: str, _: float) -> float:
        name, text = said.split("=")
        return 0.9 if text.startswith("red") == in_scale[f"{name}="] else 0.1

    material = Material(probes=held_out(), tuned=TRAINED)
    desk = desk_of(Model(thinks=spoiled), settings={"scaling": method})

    assert tiers(await run(desk, material, "calibration")) == {"calibration_error": "REJECT"}


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


async def test_a_twin_that_the_target_knows_after_all_is_dropped() -> None:
    def knows_everything(task: Any) -> Any:
        if isinstance(task, Fill):
            return Filled(probabilities=((0.0, 0.0, 0.0, 0.0, 1.0),), mass=(1.0,), prompt_tokens=1)
        return generated("red")

    material = Material(prompts=[prompt("baba=")])
    await run(desk_of(knows_everything), material, "uncertainty_calibration")
    assert [one.prompt.question for one in material.probes] == ["baba="]
    (dropped,) = material.dropped
    assert (dropped.stage, dropped.reason) == (
        "refusal_data_generation",
        "the target has a right answer, or none that can be used, to a question that was meant to have none",
    )


async def test_answers_are_worth_what_gold_refusal_and_judge_say_in_that_order() -> None:
    said = {"12+34=": ["640", "?", "650", ""], "baba=": ["red", "blue", "?", "red"], "pepe=": ["lime"] * 4}
    counts: Counter[str] = Counter()

    def answer(task: Any) -> Any:
        if isinstance(task, Fill):
            return None if asked(task) == "Gpepe=lime" else grade(asked(task), 5)
        counts[asked(task)] += 1
        place = counts[asked(task)] - 1
        return generated(said[asked(task)][place], 0.25, is_whole=place < 3)

    desk = desk_of(answer, settings={"samples": "4"})
    questions = [Question(prompt=one) for one in (prompt("12+34=", gold="46"), prompt("baba="), prompt("pepe="))]

    found = await asking.ask(desk, questions, adapter=None)

    assert [[(one.text, one.outcome) for one in probe.answers] for probe in found] == [
        [("640", "right"), ("?", "abstained"), ("650", "wrong")],
        [("red", "right"), ("blue", "wrong"), ("?", "abstained")],
        [],
    ]
    assert {round(one.probability, 9) for probe in found for one in probe.answers} == {0.25}
    judged = {asked(task) for task in desk.tasks if isinstance(task, Fill)}
    assert judged == {"Gbaba=red", "Gbaba=blue", "Gpepe=lime"}


@pytest.mark.parametrize(
    ("worths", "twin", "knowledge"),
    [
        ("rrrrwwww", "", "known"),
        ("rrrwwwww", "", "unsure"),
        ("rwwwwwww", "", "unsure"),
        ("wwwwaaaa", "", "unknown"),
        ("aaaaaaaa", "", "unknown"),
        ("", "", "unsure"),
        ("wwwwaaaa", "bako", "unknown"),
        ("rrrrrrrr", "bako", "unsure"),
    ],
)
def test_half_right_is_known_never_right_is_unknown(worths: str, twin: str, knowledge: Knowledge) -> None:
    assert probe("zulo", worths, twin=twin).knowledge == knowledge


def test_agreement_is_with_all_samples_and_the_usual_answer_is_the_first_of_the_most_frequent() -> None:
    found = probe("bako", "wraw")
    assert [agreement(found, one) for one in found.answers] == [0.5, 0.25, 0.25, 0.5]
    assert usual(found, "wrong") == found.answers[0]
    assert usual(probe("bako", "rr"), "wrong") is None


def test_twins_are_used_where_their_questions_are() -> None:
    parts = Counter(refusals.part_of(one.prompt, seed=3) for one in held_out())
    assert parts["scaling"] == pytest.approx(250 / 3, abs=30)
    assert parts["training"] == 0
    for one in held_out():
        twin = probe("zulo", "w", twin=one.prompt.question[:-1], is_held_out=True)
        assert refusals.part_of(twin.prompt, seed=3) == refusals.part_of(one.prompt, seed=3)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.none() | st.integers(1, 80), st.integers(0, 9))
def test_neither_answers_nor_refusals_outweigh_the_others(
    known: int, unknown: int, count: int | None, seed: int
) -> None:
    probes = [probe(f"k{number}", "rr") for number in range(known)]
    probes += [probe(f"u{number}", "ww") for number in range(unknown)]
    labels = Counter(one.knowledge for one in refusals.balanced(probes, count=count, seed=seed))
    most_refusals = min(known, unknown)
    most = most_refusals + min(known, 2 * most_refusals)
    assert labels.total() == (most if count is None else min(most, count))
    assert labels["known"] <= 2 * labels["unknown"]
    assert labels["unknown"] <= labels["known"] or count == 1


def test_questions_whose_twin_is_there_come_first() -> None:
    probes = [probe(f"k{number}", "rr") for number in range(30)]
    probes += [probe(f"z{number}", "ww", twin=f"k{number}") for number in range(5)]
    kept = {one.prompt.question for one in refusals.balanced(probes, count=None, seed=0)}
    assert {f"k{number}=" for number in range(5)} <= kept
    assert len(kept) == 15


@pytest.mark.parametrize(
    ("method", "refused", "rejected"),
    [("sft", {"zulo=", "kipu="}, [None] * 4), ("dpo", {"zulo="}, ["?", "?", "w"])],
)
async def test_by_preference_a_refusal_is_set_against_the_usual_wrong_answer(
    method: str, refused: set[str], rejected: list[str | None]
) -> None:
    never_wrong = probe("kipu", "aaaa")
    material = Material(probes=[probe("bako", "rrrw"), probe("ludo", "rrrr"), probe("zulo", "wwww"), never_wrong])
    desk = desk_of(Model(), settings={"method": method})

    await refusals.make_rows(desk, material)
    await run(desk, material, "training")

    said = {row.fields["messages"][0]["content"]: row.fields["messages"][1]["content"] for row in material.rows}
    assert said == {"bako=": "r", "ludo=": "r", **dict.fromkeys(refused, "?")}
    assert [row.fields.get("rejected") for row in material.rows] == rejected
    (training,) = desk.trainings
    rows = [json.loads(line) for line in desk.blobs.read(training.dataset).decode().splitlines()]
    assert (training.method, [row.get("rejected") for row in rows]) == (method, rejected)


async def test_where_the_generator_can_twins_rest_on_false_premises_too() -> None:
    asks = [f"When was {name} Meyer born?" for name in ("Anna", "Bert", "Clara", "Dora", "Emil", "Fritz")]
    prompts = [prompt(question) for question in [*asks, "what boils at 78 degrees?"]]

    def answer(task: Generate) -> Generated | None:
        return None if "Fritz" in asked(task) else generated(json.dumps({"question": f"What if {task.seed}?"}))

    roles = dict.fromkeys(("target", "generator", "judge"), replace(PIN, templates="standard"))
    twins = await make_twins(desk_of(answer, roles=roles), Material(prompts=prompts), prompts)

    origins = Counter(twin.origin for twin in twins)
    assert set(origins) == {"absent_name", "false_premise"}
    assert {twin.twin: twin.origin for twin in twins}["what boils at 78 degrees?"] == "false_premise"
    assert not any(name in twin.prompt.question for twin in twins for name in ("Anna", "Bert", "Clara", "Dora"))
    assert all(twin.prompt.task for twin in twins if twin.origin == "false_premise")
    assert {twin.twin for twin in twins} | {asks[-1]} == {one.question for one in prompts}
