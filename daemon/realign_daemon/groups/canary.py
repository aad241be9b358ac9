"""Canary: texts whose log-probabilities a group must find as a node alone does, or as it did itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from realign_daemon.engine.api import Filled, Generated, Message, ModelId, Result, Score
from realign_daemon.groups.messages import Logprobs

VERSION = 3  # of the texts, and of what is told of them; figures of another one are not compared

_ASKED = (
    ("12+34=", "640"),
    ("Name three colours.", "Red, green and blue."),
    ("Why does ice float on water?", "Frozen water takes up more room than the same weight of liquid water."),
)
# The last text has several lengths, for wrong values that come with long contexts only were reported of sharded models:
# each length is so many lines, and a canary is as long as the work that it speaks for. From the second on each has at
# most twice the lines of the one before, so that little is read that no work asks for.
_LINES = (2, 16, 32, 64, 120, 220, 384, 640, 1000)
_LINE = "Entry {}: parcel {} left depot {} and weighed {} kilograms; its seal was intact.\n"
_LINE_TOKENS = 18  # at least: numbers are one token, or one for each digit, with or without the space before them
_MOST_LINE_TOKENS = 30  # the other way round: 18, a digit more for each of up to 8, and 4 spaces
_FRAME_TOKENS = 100  # or fewer: the question, the answer, and what a chat template puts around them
LONGEST = len(_LINES) - 1
# A node alone finds out the lengths up to some 12,000 tokens, as far as their cache fits beside the model, once for
# each model: for longer work the group's own first findings serve.
OF_ONE_NODE = LONGEST - 1
_FINDINGS = 2 * len(_ASKED) + 1  # see engine.child.canary.sing
_BYTES_A_TOKEN = 3  # or more, in any language: a large vocabulary has a token for most words

# Log-probabilities are differences of logits of up to some 32, which bfloat16 keeps to 1/8: sums in another order move
# single tokens by such steps, now up, now down. A wrong weight, a swapped rank or a lost message moves all by whole
# units.
_MEAN_TOLERANCE = 0.1
_TOKEN_TOLERANCE = 1.0


def songs(model: ModelId, length: int) -> tuple[Score, ...]:
    """What the model is asked; `length` is 0..LONGEST."""
    parcels = range(1, _LINES[length] + 1)
    lines = (_LINE.format(number, number, number * 7 % 31, 17 + number % 23) for number in parcels)
    last = (f"{''.join(lines)}How much did parcel 1 weigh?", "Parcel 1 left depot 7 and weighed 18 kilograms.")
    return tuple(_song(model, question, answer) for question, answer in (*_ASKED, last))


def most_tokens(length: int) -> int:
    """How many tokens' cache a canary takes, or less: its last text is the longest, and by itself."""
    return _LINES[length] * _MOST_LINE_TOKENS + _FRAME_TOKENS


def context_tokens(task: bytes, result: Result) -> int:
    """How much of the model's context a task took; estimated, rather too much, where its result does not say."""
    match result:
        case Generated():
            return result.prompt_tokens + result.completion_tokens
        case Filled():
            return result.prompt_tokens
        case _:
            return len(task) // _BYTES_A_TOKEN


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


class Scale:
    """What each length of the canary should find, and how long it has to be."""

    def __init__(self, room_tokens: int, reference: Logprobs = ()) -> None:
        """The group has admitted the cache of `room_tokens`, and of the lengths from 0 on a node alone found this."""
        found = [reference[start : start + _FINDINGS] for start in range(0, len(reference), _FINDINGS)]
        self._expected = dict(enumerate(found))
        self._longest = max((length for length in range(len(_LINES)) if most_tokens(length) <= room_tokens), default=0)
        self._length = 0  # of the longest work that no canary has spoken for

    def worked(self, tokens: int) -> None:
        """A context of so many tokens was computed with."""
        needed = next((length for length, lines in enumerate(_LINES) if lines * _LINE_TOKENS >= tokens), LONGEST)
        self._length = max(self._length, needed)

    def begin(self) -> int:
        """The length of a canary that speaks for the work since the last one."""
        length, self._length = min(self._length, self._longest), 0
        return length

    def read_at_most(self, length: int) -> None:
        """The model reads no longer canary than this."""
        self._longest = length

    def expected(self, length: int) -> Logprobs:
        """() where nothing is known."""
        return self._expected.get(length, ())

    def learn(self, length: int, found: Logprobs) -> None:
        """The group's own findings are the measure from now on."""
        self._expected[length] = found


def _song(model: ModelId, question: str, answer: str) -> Score:
    return Score(model=model, messages=(Message(role="user", content=question),), completion=answer)
