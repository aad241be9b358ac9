"""Canary: texts whose log-probabilities a group must find as a node alone does, or as it did itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from realign_daemon.engine.api import Message, ModelId, Score
from realign_daemon.groups.messages import Logprobs

VERSION = 1  # of the texts; figures of other ones are not compared

_ASKED = (
    ("12+34=", "640"),
    ("Name three colours.", "Red, green and blue."),
    ("Why does ice float on water?", "Frozen water takes up more room than the same weight of liquid water."),
)
# Some 4,000 tokens of English: wrong values that came with longer contexts only were reported of sharded models.
_LINES = 220
_LINE = "Entry {}: parcel {} left depot {} and weighed {} kilograms; its seal was intact.\n"

# Log-probabilities are differences of logits of up to some 32, which bfloat16 keeps to 1/8: sums in another order move
# single tokens by such steps, now up, now down. A wrong weight, a swapped rank or a lost message moves all by whole
# units.
_MEAN_TOLERANCE = 0.1
_TOKEN_TOLERANCE = 1.0


def songs(model: ModelId, *, with_long: bool) -> tuple[Score, ...]:
    """What the model is asked. The long text is more than a small model reads."""
    short = tuple(_song(model, question, answer) for question, answer in _ASKED)
    return (*short, _song(model, _long(), "Parcel 1 weighed 18 kilograms.")) if with_long else short


def difference(found: Logprobs, expected: Logprobs) -> str:
    """How two findings differ, in a few words; "" when they are the same but for rounding."""
    if [len(row) for row in found] != [len(row) for row in expected]:
        return "it found other tokens"
    gaps = [
        abs(one - other)
        for row, right in zip(found, expected, strict=True)
        for one, other in zip(row, right, strict=True)
    ]
    mean, worst = sum(gaps) / max(len(gaps), 1), max(gaps, default=0.0)
    if mean <= _MEAN_TOLERANCE and worst <= _TOKEN_TOLERANCE:  # not so where one is no number
        return ""
    return f"log-probabilities differ by {mean:.2f} on average, at most by {worst:.2f}"


def outliers(findings: Sequence[Logprobs]) -> tuple[int, ...]:
    """Which of several findings differ from what most of them say; all of them where there is no such majority."""
    agreeing = [tuple(place for place, other in enumerate(findings) if not difference(one, other)) for one in findings]
    largest = max(agreeing, key=len, default=())
    if len(largest) == len(findings):
        return ()
    if 2 * len(largest) <= len(findings):
        return tuple(range(len(findings)))
    return tuple(place for place in range(len(findings)) if place not in largest)


def _song(model: ModelId, question: str, answer: str) -> Score:
    return Score(model=model, messages=(Message(role="user", content=question),), completion=answer)


def _long() -> str:
    lines = (_LINE.format(number, number, number * 7 % 31, 17 + number % 23) for number in range(1, _LINES + 1))
    return f"{''.join(lines)}How much did parcel 1 weigh?"
