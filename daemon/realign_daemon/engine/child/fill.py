"""Form: an answer with blanks, and how probable the model finds each choice for each blank."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import mlx.core as mx

from realign_daemon.engine.api import Fill, Filled, Slot
from realign_daemon.engine.child.forward import Rows
from realign_daemon.engine.child.load import FullPrecisionLogits
from realign_daemon.engine.child.shape import Shape, shape
from realign_daemon.engine.child.tokens import Vocabulary
from realign_daemon.engine.errors import BadTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A fill task in tokens: the prompt, and for each slot the text before it and the choices."""

    prompt: tuple[int, ...]
    slots: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]


def form_of(task: Fill, vocabulary: Vocabulary) -> Form:
    """The task's form. Raises BadTask when it has no slot, or a choice is not exactly one token of its own."""
    if not task.form:
        message = "the form has no slot: give at least one"
        raise BadTask(message)
    prompt = tuple(vocabulary.prompt(task.messages, thinking=False))
    slots = tuple((tuple(vocabulary.plain(slot.before)), _choices(slot, vocabulary)) for slot in task.form)
    total = len(prompt) + sum(len(before) + 1 for before, _ in slots)
    if total > vocabulary.context_tokens:
        message = f"the form takes {total} tokens and the model reads {vocabulary.context_tokens}: shorten it"
        raise BadTask(message)
    return Form(prompt=prompt, slots=slots)


def shape_of(form: Form, most_rows: int) -> Shape:
    """The shape of the passes that fill the form."""
    (first, _), *later = form.slots
    return shape(len(form.prompt) + len(first) - 1, then=tuple(len(before) for before, _ in later), most_rows=most_rows)


def fill(model: FullPrecisionLogits, forms: Sequence[Form]) -> list[Filled]:
    """Fills all forms in one batch, slot by slot; the argmax of a slot (the first of equals) is what the next sees."""
    rows = Rows(model, len(forms))
    feeds = {index: [*form.prompt, *form.slots[0][0]] for index, form in enumerate(forms)}
    probabilities: list[list[tuple[float, ...]]] = [[] for _ in forms]
    masses: list[list[float]] = [[] for _ in forms]
    slot = 0
    while feeds:
        shares, mass = _choose(rows.next_logits(list(feeds.values())), [forms[index].slots[slot][1] for index in feeds])
        alive: list[int] = []
        following: dict[int, list[int]] = {}
        for place, index in enumerate(feeds):
            probabilities[index].append(shares[place])
            masses[index].append(mass[place])
            if len(forms[index].slots) > slot + 1:
                best = max(range(len(shares[place])), key=shares[place].__getitem__)
                following[index] = [forms[index].slots[slot][1][best], *forms[index].slots[slot + 1][0]]
                alive.append(place)
        if 0 < len(alive) < len(feeds):
            rows.keep(alive)
        feeds, slot = following, slot + 1
    return [
        Filled(probabilities=tuple(probabilities[index]), mass=tuple(masses[index]), prompt_tokens=len(form.prompt))
        for index, form in enumerate(forms)
    ]


def _choices(slot: Slot, vocabulary: Vocabulary) -> tuple[int, ...]:
    tokens = tuple(vocabulary.choice(slot.before, choice) for choice in slot.choices)
    if not tokens or len(set(tokens)) != len(tokens):
        message = f"the choices {slot.choices!r} are none or the same token twice: give each its own token"
        raise BadTask(message)
    return tokens


def _choose(logits: mx.array, choices: Sequence[tuple[int, ...]]) -> tuple[list[tuple[float, ...]], list[float]]:
    """The choices' shares among themselves and of everything, row by row."""
    everything = mx.logsumexp(logits, axis=-1)
    picked = [logits[row, mx.array(tokens)] for row, tokens in enumerate(choices)]
    shares = [mx.softmax(row, axis=-1) for row in picked]
    mass = mx.exp(mx.stack([mx.logsumexp(row, axis=-1) for row in picked]) - everything)
    mx.eval(shares, mass)
    return [tuple(cast("list[float]", row.tolist())) for row in shares], cast("list[float]", mass.tolist())
