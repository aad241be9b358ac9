"""RLVR from the sources to verdicts: which problems are taken, with which answers, and what checking says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from tests.unit.curation.rlvr_world import (
    PLAIN,
    RIGHT,
    desk_of,
    drawn_prompt,
    generations,
    given_prompt,
    problem,
    reasons,
)

from realign_daemon.curation.documents.document import Record
from realign_daemon.curation.material import Material
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.curation.stages.rlvr import extraction, golds, solutions, verification
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput
from realign_daemon.testing.scripted_desk import ScriptedDesk
from realign_planner.gates import judge


async def test_where_none_was_stated_the_first_reading_that_stands_in_the_passage_is_the_answer() -> None:
    read = {("12+34=", 0.0): "640", ("55+66=", 0.0): "111", ("55+66=", 0.7): "121", ("77+88=", 0.0): "551"}
    desk = desk_of(lambda task: read.get((task.messages[-1].content, task.sampler.temperature), "?"), computed=PLAIN)
    passages = {"12+34=": "12+34 makes 46.", "55+66=": "55 plus 66 equals 121.", "77+88=": "77+88 makes 165."}

    found = await golds.find(desk, [drawn_prompt(one, passage=said) for one, said in passages.items()])

    assert [(gold.answer, gold.grounds) for gold in found] == [("46", "quoted"), ("121", "quoted"), ("?", "")]
    assert [one.messages[-1].content for one in generations(desk)] == [*passages, "55+66=", "77+88=", "77+88="]


async def test_a_stated_answer_that_the_passage_does_not_say_needs_every_reading_to_agree() -> None:
    read = {"agreed?": iter(["3", "3", "3"]), "doubted?": iter(["3", "4"])}
    desk = desk_of(lambda task: next(read[task.messages[-1].content]), computed=PLAIN)
    asked = [drawn_prompt("said?", "3", passage="It is 3.")]
    asked += [drawn_prompt(question, "3", passage="Two and one more.") for question in read]

    found = await golds.find(desk, asked)

    assert [(gold.answer, gold.grounds) for gold in found] == [("3", "quoted"), ("3", "agreed"), ("3", "")]


async def test_a_records_answer_is_what_its_worked_solution_ends_with() -> None:
    given = [
        given_prompt("gsm?", "She sold 48/2 = <<48/2=24>>24 clips.\nAltogether 72.\n#### 72"),
        given_prompt("math?", r"We get $x = \boxed{\frac{3}{4}}$."),
        given_prompt("Prove that 1 = 1.", "1"),
        given_prompt("empty?"),
    ]
    material = Material(prompts=given)

    await extraction.settle(desk_of(), material)

    assert [(one.prompt.gold, one.answer_type) for one in material.problems[:2]] == [
        ("72", "number"),
        (r"\frac{3}{4}", "number"),
    ]
    assert reasons(material) == ["the problem asks for a proof", "the problem has no answer"]


async def test_prompts_that_came_later_are_settled_once_and_nothing_else_is() -> None:
    material = Material(prompts=[given_prompt("one?", "1"), given_prompt("two?", "it depends")])
    await extraction.settle(desk_of(), material)
    material.prompts.append(given_prompt("three?", "3"))
    await extraction.settle(desk_of(), material)
    assert [one.prompt.question for one in material.problems] == ["one?", "two?", "three?"]
    assert reasons(material) == ["the answer commits to nothing"]


async def test_code_problems_are_refused_where_there_is_no_sandbox() -> None:
    def coded() -> Material:
        of = given_prompt("Write f.", "def f(): return 1")
        tests = json.dumps(["assert f() == 1", "assert f() == 1.0"])
        return Material(prompts=[of], records=[Record(line=1, fields={"test_list": tests}, chunk=of.chunk)])

    def desk(*, available: bool) -> ScriptedDesk:
        def sandbox(asked_by: str) -> dict[str, object]:
            return {"available": available, "kind": "bubblewrap", "reason": f"none for {asked_by}"}

        return desk_of(computed={"verify.sandbox": sandbox})

    with pytest.raises(BadInput, match="cannot run programs safely \\(none for dpo-1\\)"):
        await extraction.settle(desk(available=False), coded())
    await extraction.settle(desk(available=True), material := coded())
    assert [(one.tests, one.answer_type, one.flaw) for one in material.problems] == [
        ("assert f() == 1\nassert f() == 1.0", "code", "")
    ]


def available(asked_by: str) -> dict[str, object]:
    """A sandbox, whoever asks."""
    return {"available": True, "asked_by": asked_by}


async def test_a_model_is_shown_how_its_program_is_called_and_never_what_must_come_back() -> None:
    of = given_prompt("Double it.", "def f(n): return 2 * n")
    tests = "assert f(17) == 34\nassert f(4) == 8"
    material = Material(prompts=[of], records=[Record(line=1, fields={"tests": tests}, chunk=of.chunk)])
    await extraction.settle(desk_of(computed={"verify.sandbox": available}), material)
    (found,) = material.problems
    (message,) = solutions.asked_as(load("standard").template("program"), found)
    assert all(call in message.content for call in ("Double it.", "f(17)", "f(4)"))
    assert not any(answer in message.content for answer in ("34", "8", "return 2"))


async def test_every_sample_of_a_problem_has_its_own_seed_and_the_same_one_with_every_adapter() -> None:
    desk = desk_of(lambda _: RIGHT, samples="4")
    problems = [problem("12+34="), problem("13+33=")]
    await solutions.sample(desk, problems, adapter=None)
    await solutions.sample(desk, problems, adapter=Sha256("a"))
    seeds = [one.seed for one in generations(desk)]
    assert len(set(seeds)) == 8
    assert seeds[:8] == seeds[8:]


async def test_solutions_are_valid_whole_and_differ() -> None:
    texts = iter(["640", "650", "640", "640", "", "640", "640", "640"])
    desk = desk_of(lambda _: next(texts), samples="4")
    material = Material(prompts=[given_prompt("12+34=", "46"), given_prompt("13+33=", "46")])
    found = await solutions.generate_solutions(desk, material)
    assert {name: (one.value, one.n) for name, one in found.items()} == {
        "valid_fraction": (7 / 8, 8),
        "truncated_fraction": (0.0, 8),
        "distinct_fraction": (0.5, 2),
    }


async def checked(golds_by_question: Mapping[str, str]) -> tuple[Measures, Material]:
    """Stages 1 to 3 with the real verifier over given problems that the model always answers with 640."""
    desk = desk_of(lambda _: RIGHT, samples="2")
    material = Material(prompts=[given_prompt(question, gold) for question, gold in golds_by_question.items()])
    await solutions.generate_solutions(desk, material)
    return await verification.verify_solutions(desk, material), material


async def test_verifiability_is_high_for_plain_answers_and_rejects_a_source_of_proofs_and_opinions() -> None:
    good = {f"{a}+34=": str(a + 34) for a in range(10, 64)}
    found, material = await checked(good)
    assert judge("verification", found["verifiability"]).tier == "HIGH"
    assert (found["verifiability"].value, found["verifiability"].n) == (1.0, 54)
    assert [one.question for one in material.prompts if material.solutions[one.id][0].is_correct] == ["12+34="]

    spoiled = {question: gold if int(gold) % 3 else "It depends on who counts." for question, gold in good.items()}
    spoiled |= {f"Prove that {a}+1={a + 1}.": str(a + 1) for a in range(10, 20)}
    found, material = await checked(spoiled)
    assert judge("verification", found["verifiability"]).tier == "REJECT"
    assert found["verifiability"].value == pytest.approx(36 / 64)
    assert set(reasons(material)) == {"the answer commits to nothing", "the problem asks for a proof"}


async def test_an_answer_that_no_program_can_check_counts_against_the_sources_and_is_noted_by_every_run() -> None:
    found, material = await checked({"12+34=": "46", "what?": "import os"})
    assert (found["verifiability"].value, found["verifiability"].n) == (0.5, 2)
    assert reasons(material) == ["no program can check its answer: tests are checked by running them"]
    material.dropped.clear()
    assert await verification.verify_solutions(desk_of(), material) == found
    assert reasons(material) == ["no program can check its answer: tests are checked by running them"]
