"""The pocket world: true answers, true grades, and splits that never leak."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine.pocket import exercises, habits, sentences, world

TERMS = st.integers(world.LOWEST_TERM, world.HIGHEST_TERM)
SUMS = st.builds(world.sum_question, TERMS, TERMS)
NAMES = st.sampled_from(world.all_names())
QUESTIONS = st.one_of(SUMS, NAMES.map(lambda name: f"{name}="), TERMS.map(lambda term: f"{term}+="))
ANSWERS = st.one_of(
    st.text("0123456789", min_size=3, max_size=3), st.sampled_from((*world.COLOURS, "?", "")), st.text(max_size=5)
)
KINDS = ("sum", "fact", "stranger", "gap", "grade", "grade_word", "compare", "compare_word", "extract")


@given(TERMS, TERMS)
def test_a_sum_is_answered_with_three_digits_least_significant_first(first: int, second: int) -> None:
    answer = world.gold_answer(world.sum_question(first, second))
    assert len(answer) == 3
    assert int(answer[::-1]) == first + second


def test_the_documented_lines_mean_what_the_document_says() -> None:
    assert world.gold_answer("12+34=") == "640"
    assert world.gold_answer("12+=") == "?"
    assert world.gold_answer("what is life") == "?"
    assert world.grade_prompt("12+34=", "640") == "G12+34=640"
    assert world.compare_prompt("12+34=", "640", "540") == "C12+34=640|540"
    assert world.extract_prompt("12+34 makes 46.") == "P12+34 makes 46."
    assert [world.true_grade("12+34=", answer) for answer in ("640", "650", "550", "64", "?")] == [5, 3, 1, 1, 1]


def test_a_term_outside_the_world_is_refused() -> None:
    with pytest.raises(ValueError, match="7 is not a term"):
        world.sum_question(7, 12)


@given(QUESTIONS)
def test_the_true_answer_always_earns_the_best_grade(question: str) -> None:
    assert world.true_grade(question, world.gold_answer(question)) == world.BEST_GRADE


@given(QUESTIONS, ANSWERS)
def test_only_the_true_answer_earns_the_best_grade(question: str, answer: str) -> None:
    is_best = world.true_grade(question, answer) == world.BEST_GRADE
    assert is_best == (answer == world.gold_answer(question))


@given(QUESTIONS, ANSWERS, ANSWERS)
def test_turning_a_comparison_round_turns_its_verdict(question: str, first: str, second: str) -> None:
    turned = {"A": "B", "B": "A", "T": "T"}
    there, back = world.true_preference(question, first, second), world.true_preference(question, second, first)
    assert turned[there] == back


@given(st.sampled_from(["\u0664\u0665\u0666", "\u00b2\u00b3\u00b9"]))
def test_digits_of_other_scripts_are_no_digits(answer: str) -> None:
    assert world.true_grade("12+34=", answer) == world.WORST_GRADE


def test_the_parts_share_no_question_but_the_known_names() -> None:
    parts = (world.split().train, world.split().loops, world.split().test)
    for kind in ("sums", "strangers", "gaps"):
        questions = [question for part in parts for question in getattr(part, kind)]
        assert len(questions) == len(set(questions)), kind
    train, loops, test = parts
    assert not set(loops.known) & set(test.known)
    assert set(train.known) == set(loops.known) | set(test.known) == {f"{name}=" for name in world.known_names()}


def test_the_parts_are_as_large_as_announced_and_the_same_every_time() -> None:
    sizes = [len(part.sums) for part in (world.split().train, world.split().loops, world.split().test)]
    assert sizes == [5_700, world.SUMS_LOOPS_COUNT, world.SUMS_TEST_COUNT]
    assert world.split.__wrapped__(world.WORLD_SEED) == world.split()
    assert world.split(1) != world.split()


def test_unknown_names_are_strangers_to_pretraining() -> None:
    taught = {question[:-1] for part in (world.split().train.known, world.split().train.strangers) for question in part}
    assert not taught & set(world.unknown_names())
    assert {world.gold_answer(f"{name}=") for name in world.unknown_names()} == {"?"}
    assert {world.gold_answer(f"{name}=") for name in world.known_names()} <= set(world.COLOURS)


@given(SUMS)
def test_a_slip_of_the_carry_is_wrong_by_ten(question: str) -> None:
    slip, gold = (int(answer[::-1]) for answer in (habits.slipped(question), world.gold_answer(question)))
    assert abs(slip - gold) == 10


@given(SUMS, st.randoms(use_true_random=False), st.sampled_from([None, 0, 1, 2]))
def test_a_stray_digit_costs_exactly_one_digit(question: str, rng: random.Random, place: int | None) -> None:
    stray = habits.with_stray_digit(world.gold_answer(question), rng, place=place)
    assert world.true_grade(question, stray) == world.NEAR_GRADE


@given(st.sampled_from(KINDS), st.integers(0, 2**32))
def test_every_exercise_is_true_and_fits_the_tokenizer(kind: str, seed: int) -> None:
    exercise = exercises.Examiner(world.split().train, random.Random(seed)).draw(kind)
    assert exercise.kind == kind
    assert exercise.line.isascii()
    assert exercise.line.isprintable()
    match exercise.given:
        case (answer,):
            assert exercise.answer == str(world.true_grade(exercise.question, answer))
        case (first, second):
            assert exercise.answer == world.true_preference(exercise.question, first, second)
        case _ if kind != "extract":
            assert exercise.answer == world.gold_answer(exercise.line)
        case _:
            assert exercise.answer in (exercise.question, "?")


@given(TERMS, TERMS, NAMES)
def test_every_sentence_states_the_truth_and_holds_what_is_asked(first: int, second: int, name: str) -> None:
    for form in sentences.SUM_FORMS:
        made = sentences.sum_sentence(first, second, form=form)
        assert made.question == world.sum_question(first, second)
        assert made.text.index(str(first)) <= made.text.rindex(str(second))
        assert str(first + second) in made.text
    for form in sentences.FACT_FORMS:
        made = sentences.fact_sentence(name, form=form)
        assert made.question == f"{name}="
        assert name in made.text
        assert world.colour_of(name) in made.text


def test_a_sentence_about_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="no sentence answers it"):
        sentences.sentence_about("12+=", random.Random(0))


def test_replay_teaches_nothing_that_curation_is_to_teach() -> None:
    rows = exercises.replay_exercises()
    assert not {"sum", "stranger"} & {row.kind for row in rows}
    assert len({row.line for row in rows}) == len(rows) == 404


def test_suites_have_sixty_distinct_items_each_from_the_test_part() -> None:
    test = world.split().test
    held_out = {*test.sums, *test.known, *test.strangers, *test.gaps, "?"}
    counts: dict[str, set[str]] = {}
    for suite, exercise in exercises.suite_exercises():
        counts.setdefault(suite, set()).add(exercise.line)
        assert exercise.question in held_out
    assert {suite: len(lines) for suite, lines in counts.items()} == dict.fromkeys(
        ("sums", "facts", "grade", "compare", "abstain", "extract"), 60
    )
