"""Forms: probabilities of choices, exactly those of the model."""

from __future__ import annotations

import mlx.core as mx
import pytest

from realign_daemon.engine.api import Fill, Message, ModelId, Slot
from realign_daemon.engine.child.fill import fill, form_of
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.errors import BadTask

MODEL = ModelId("m")
DIGITS = ("1", "2", "3", "4", "5")


def form(question: str, *slots: Slot) -> Fill:
    return Fill(model=MODEL, messages=(Message(role="user", content=question),), form=slots, template="t")


def direct(loaded: Loaded, prefix: list[int], choices: tuple[str, ...]) -> tuple[list[float], float]:
    """The same by one plain pass over one sequence."""
    logits = loaded.network(mx.array([prefix]))[0, -1]
    probabilities = mx.softmax(logits)
    picked = [float(probabilities[loaded.vocabulary.choice("", choice)].item().real) for choice in choices]
    return [value / sum(picked) for value in picked], sum(picked)


def test_probabilities_and_mass_equal_a_direct_softmax_slot_by_slot(loaded: Loaded) -> None:
    tasks = [
        form("how good?", Slot(before="", choices=DIGITS)),
        form(
            "and this one, which is longer?",
            Slot(before="a: ", choices=DIGITS),
            Slot(before=", b: ", choices=("A", "B")),
        ),
        form(
            "x",
            Slot(before="", choices=("A", "B")),
            Slot(before="", choices=DIGITS),
            Slot(before="!", choices=("?", ".")),
        ),
    ]
    results = fill(loaded.model, [form_of(task, loaded.vocabulary) for task in tasks])
    for task, result in zip(tasks, results, strict=True):
        prefix = loaded.vocabulary.prompt(task.messages, thinking=False)
        assert result.prompt_tokens == len(prefix)
        assert len(result.probabilities) == len(result.mass) == len(task.form)
        for slot, shares, mass in zip(task.form, result.probabilities, result.mass, strict=True):
            prefix += loaded.vocabulary.plain(slot.before)
            wanted, wanted_mass = direct(loaded, prefix, slot.choices)
            assert shares == pytest.approx(wanted, abs=1e-5)
            assert mass == pytest.approx(wanted_mass, abs=1e-5)
            best = slot.choices[max(range(len(shares)), key=shares.__getitem__)]
            prefix += loaded.vocabulary.plain(best)


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ((), "no slot"),
        ((Slot(before="", choices=()),), "none"),
        ((Slot(before="", choices=("10", "2")),), "not one token"),
        ((Slot(before="", choices=("", "2")),), "not one token"),
        ((Slot(before="", choices=("2", "2")),), "same token"),
        ((Slot(before="x" * 2048, choices=("1", "2")),), "2048"),
    ],
)
def test_an_impossible_form_is_refused_and_told_why(loaded: Loaded, slots: tuple[Slot, ...], words: str) -> None:
    with pytest.raises(BadTask, match=words):
        form_of(form("x", *slots), loaded.vocabulary)
