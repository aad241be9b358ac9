"""Refusals: how each set of templates says "I don't know", and the questions that call for it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.curation.stages.antihallucination.absent import about_nobody
from realign_daemon.curation.stages.antihallucination.probing import FACTS
from realign_daemon.curation.templates import load
from realign_daemon.engine.pocket import world

NAMES = [name.removesuffix("=") for name in world.split().loops.known]


def test_an_invented_name_has_the_shape_of_the_old_one_and_occurs_nowhere() -> None:
    standard = load("standard").refusal
    question = "What did Marie Curie discover in Paris?"
    found = about_nobody(question, standard, question.casefold(), seed=1)
    assert found is not None
    assert found != question
    assert found.startswith("What did ")
    assert found.endswith(" discover in Paris?")
    assert [word.istitle() for word in found.split()[2:4]] == [True, True]
    assert about_nobody("what is the sum of two and three?", standard, "", seed=1) is None
    assert about_nobody("12+34=", load("pocket").refusal, "", seed=1) is None


@settings(deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 2**31))
def test_a_pocket_name_gives_way_to_another_pocket_name(name: str, seed: int) -> None:
    found = about_nobody(f"{name}=", load("pocket").refusal, "\n".join(NAMES), seed=seed)
    assert found is not None
    assert found[:-1] not in NAMES
    assert found == about_nobody(f"{name}=", load("pocket").refusal, "\n".join(NAMES), seed=seed)
    assert re.fullmatch("([bdfgjklmnprstvz][aeiou]){2}=", found)


def test_a_question_whose_every_other_name_is_taken_has_no_twin() -> None:
    few = replace(load("pocket").refusal, consonants="bd", vowels="a")
    taken = {"baba", "bada", "daba"}
    assert about_nobody("baba=", few, " ".join(taken), seed=0) == "dada="
    assert about_nobody("baba=", few, " ".join({*taken, "dada"}), seed=0) is None


def test_a_fact_comes_with_its_answer_where_the_generator_writes_both() -> None:
    standard, pocket = load("standard").template("fact"), load("pocket").template("fact")
    assert FACTS.read(standard, '{"question": "Who? ", "answer": "She"}') == ("Who?", "She")
    assert FACTS.read(standard, "Who?") == ("", "")
    assert FACTS.read(pocket, "bako=\n") == ("bako=", "")


def test_an_instruction_model_is_asked_for_a_few_words_or_those_of_a_refusal() -> None:
    standard = load("standard")
    template = standard.template("short_answer")
    instruction, question = template.render(question="Who?")
    assert standard.refusal.words in instruction.content
    assert (question.role, question.content) == ("user", "Who?")
    assert template.sampler.max_tokens <= 32


def test_the_pocket_model_is_asked_how_sure_it_is_in_another_way_than_it_grades() -> None:
    form = load("pocket").template("p_true")
    (line,) = form.render(question="bako=", response="red")
    assert line.content == world.compare_prompt("bako=", "red", "?")
    assert form.form[0].choices[-1] == world.true_preference("12+34=", "640", "?") == "A"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don't know.", True),
        ("I don\u2019t know who that is. She may be a chemist.", True),
        ("I am not familiar with that book.", True),
        ("I do not have enough information to answer that.", True),
        ("I'm sorry, I can't find any record of it.", True),
        ("There is no such river.", True),
        ("Unknown.", True),
        ("I'm not sure, but it is probably Paris.", False),
        ("Nobody knows.", False),
        ("It is unknown.", False),
        ("Paris.", False),
        ("Einstein said that he did not know. I quote.", False),
        ("", False),
    ],
)
def test_a_refusal_is_known_by_its_first_sentence(text: str, expected: bool) -> None:
    assert load("standard").refusal.is_refusal(text) == expected


def test_each_set_knows_its_own_words_as_a_refusal() -> None:
    assert all(load(name).refusal.is_refusal(load(name).refusal.words) for name in ("standard", "pocket"))
    assert not any(load("pocket").refusal.is_refusal(text) for text in ("red", "", "64?", "??"))
