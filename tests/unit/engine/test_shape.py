"""Shapes: a task's figures are the same to the last bit in any company, and no pass is larger than it may be."""

# pyright: reportUnknownVariableType=false
# mlx and mlx-lm leave many arguments untyped.

from __future__ import annotations

import random

import mlx.core as mx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx.utils import tree_map_with_path
from mlx_lm.tuner.utils import linear_to_lora_layers

from realign_daemon.engine.api import Fill, LocalModel, Message, ModelId, Result, Score, Slot
from realign_daemon.engine.child.batches import Batches
from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.load import Loaded, load
from realign_daemon.engine.child.score import MAX_LOGITS, Text, shape_of
from realign_daemon.engine.child.shape import Shape, company, padded, shape

DIGITS = Slot(before="", choices=("1", "2", "3", "4", "5"))
WORDED = Slot(before="a: ", choices=("A", "B"))


@pytest.fixture(scope="module")
def adapted(tiny_model: LocalModel) -> Loaded:
    """The tiny model with an adapter: its thin products are where shapes matter most."""
    mx.disable_compile()  # compiling on a CPU starts a C++ compiler for every kernel
    other = load(tiny_model.path)
    linear_to_lora_layers(other.network, 2, {"rank": 8, "scale": 10.0, "dropout": 0.0})
    mx.random.seed(1)

    def drawn(name: str, weight: mx.array) -> mx.array:
        return mx.random.normal(weight.shape) * 0.05 if "lora_b" in name else weight

    other.network.update(tree_map_with_path(drawn, other.network.parameters()))
    return other


def task(chance: random.Random) -> Fill | Score:
    text = "".join(chance.choice("abc123+=") for _ in range(chance.randint(1, 30)))
    messages = (Message(role="user", content=text),)
    if chance.random() < 0.5:
        return Score(model=ModelId("m"), messages=messages, completion=text[: chance.randint(0, 8)])
    form = chance.choice(((DIGITS,), (DIGITS, WORDED, DIGITS)))
    return Fill(model=ModelId("m"), messages=messages, form=form, template="t")


def results(loaded: Loaded, tasks: dict[int, Fill | Score], chance: random.Random) -> dict[int, Result]:
    """With the tasks arriving in any order, some at a time."""
    batches, waiting = Batches(loaded, Duty(), 64), list(tasks)
    chance.shuffle(waiting)
    found: dict[int, Result] = {}
    while waiting or batches:
        for _ in range(min(len(waiting), chance.randint(0, 20))):
            number = waiting.pop()
            batches.add(number, tasks[number])
        found.update(batches.step())
    return found


def test_forms_and_scores_are_the_same_to_the_last_bit_in_any_company(adapted: Loaded) -> None:
    chance = random.Random(5)
    tasks = {number: task(chance) for number in range(60)}
    first = results(adapted, tasks, chance)
    assert set(first) == set(tasks)
    assert results(adapted, tasks, chance) == first
    few = dict(list(tasks.items())[:9])
    assert results(adapted, few, chance) == {number: first[number] for number in few}


@given(st.integers(0, 100_000))
def test_little_of_a_row_is_padding(length: int) -> None:
    assert length <= padded(length) <= max(length + 7, length * 5 / 4)
    assert padded(padded(length)) == padded(length)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=2), st.integers(1, 64))
def test_a_pass_has_no_more_rows_and_tokens_than_it_may(lengths: list[int], most_rows: int) -> None:
    found = shape(*lengths, most_rows=most_rows)
    assert 1 <= found.rows <= most_rows
    assert found.rows == 1 or found.rows * sum(found.widths) <= 512
    assert found.rows > 1 or found.widths == tuple(lengths)


def test_scores_that_would_give_too_many_logits_are_computed_with_fewer_rows() -> None:
    text = Text(prompt=(1,), completion=(1,) * 16)
    assert shape_of(text, 64, 100).rows == 16
    assert shape_of(text, 64, MAX_LOGITS // 16 // 3).rows == 3
    assert shape_of(text, 64, MAX_LOGITS).rows == 1


@given(st.dictionaries(st.integers(), st.sampled_from("abc"), min_size=1))
def test_the_oldest_goes_first_with_those_like_it_and_stand_ins(waiting: dict[int, str]) -> None:
    oldest = next(iter(waiting.values()))
    chosen, stand_ins = company(waiting, lambda letter: Shape(rows=3, widths=(ord(letter),)))
    alike = [number for number, letter in waiting.items() if letter == oldest]
    assert list(chosen) == alike[:3]
    assert len(chosen) + len(stand_ins) == 3
    assert set(stand_ins) <= {oldest}
