"""Comparing answers: adversarial cases, and promises over all numbers. Nothing wrong is ever accepted."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.curation.verify.math_check import checkable, verify_math
from realign_daemon.curation.verify.math_compare import check
from realign_daemon.curation.verify.notation import tidy
from realign_daemon.curation.verify.perturb import certainly_differ, further_wrong_golds, wrong_golds
from realign_daemon.curation.verify.quantity import read_quantity

CASES = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "adversarial_math.jsonl").read_text().splitlines()
]
NUMBERS = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.integers(10**3, 10**9).map(lambda value: f"{value:,}"),
    st.decimals(-1000, 1000, places=3, allow_nan=False).map(str),
    st.tuples(st.integers(-99, 99), st.integers(1, 99)).map(lambda parts: rf"\frac{{{parts[0]}}}{{{parts[1]}}}"),
    st.tuples(st.integers(0, 99), st.sampled_from(["cm", "apples", "hours"])).map(
        lambda parts: f"{parts[0]} {parts[1]}"
    ),
)


def test_no_adversarial_answer_is_accepted_and_no_honest_one_refused() -> None:
    results = verify_math([{"answer": case["answer"], "gold": case["gold"]} for case in CASES])
    found = [{**case, "expected": result} for case, result in zip(CASES, results, strict=True)]
    assert [(one, case["expected"]) for one, case in zip(found, CASES, strict=True) if one != case] == []
    assert sum(case["expected"] != "correct" for case in CASES) >= 200


@settings(deadline=None)  # the parser compiles its grammar at the first formula
@given(NUMBERS)
def test_every_number_is_itself_and_none_of_its_perturbations(gold: str) -> None:
    assert check(gold, gold) == "correct"
    wrong = wrong_golds(gold)
    assert len(wrong) >= 2
    assert {check(answer, gold) for answer in wrong} == {"wrong"}
    further = further_wrong_golds(gold)
    assert further
    assert not {gold, *wrong} & {*further}
    assert {check(answer, gold) for answer in further} == {"wrong"}


@settings(deadline=None)
@given(NUMBERS, NUMBERS)
def test_numbers_that_certainly_differ_are_never_the_same(one: str, other: str) -> None:
    assert not certainly_differ(one, one)
    if certainly_differ(one, other):
        assert certainly_differ(other, one)
        assert {check(one, other), check(other, one)} == {"wrong"}


@settings(deadline=None)
@given(st.fractions(), st.fractions())
def test_numbers_are_equal_exactly_when_their_values_are(one: Fraction, other: Fraction) -> None:
    assert check(f"{one.numerator}/{one.denominator}", f"{one.numerator}/{one.denominator}") == "correct"
    answer = check(f"{one.numerator}/{one.denominator}", rf"\frac{{{other.numerator}}}{{{other.denominator}}}")
    assert (answer == "correct") == (one == other)


@settings(deadline=None)
@given(st.text(alphabet="0123456789.,/-+^_{}()[]\\ %$exπ²½", max_size=12))
def test_whatever_is_written_either_has_a_reading_or_none(text: str) -> None:
    assert check(text, "5") in {"correct", "wrong"}
    assert check("5", text) in {"correct", "wrong", "gold_unparseable"}


def test_golds_that_cannot_tell_right_from_wrong_are_named_with_the_reason() -> None:
    good = ["42", "\\sqrt{2}", "(1, 2)", "B", "Paris", "nan", "3, 5", "0.25"]
    bad = ["?", "", "assert f(1) == 2", "\\int", "\\frac{1}{"]
    verdicts = dict(zip([*good, *bad], checkable([*good, *bad]), strict=True))
    assert [gold for gold, verdict in verdicts.items() if not verdict["checkable"]] == bad
    assert all(bool(verdict["reason"]) != verdict["checkable"] for verdict in verdicts.values())


def test_a_quantity_keeps_value_precision_and_unit() -> None:
    found = read_quantity(tidy("-1{,}234.50\\text{ km}"))
    assert found is not None
    assert (found.value, found.places, found.unit) == (Fraction(-12345, 10), 2, "km")
