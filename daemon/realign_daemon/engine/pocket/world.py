"""The closed world of the pocket model: its questions, their true answers, and who may see which of them.

Everything a pocket model is ever asked is one short line; everything it answers is a few characters.

| question | answer |
|---|---|
| `12+34=` | `640`: the sum as three digits, least significant first |
| `bako=` | a colour, or `?` for a name that nobody taught it |
| `12+=` | `?`: nothing to work out |
| `G` + question + answer | the grade `5`, `3` or `1` |
| `C` + question + answer + `|` + answer | `A`, `B` or `T` (as good as each other) |
| `P` + sentence | the question that the sentence answers, or `?` |

Standard library only, and no state: names, colours and splits follow from constants, so that a document written
today, a test and a model trained last month agree.
"""

import hashlib
import itertools
import random
import re
from dataclasses import dataclass
from functools import cache

COLOURS = ("amber", "blue", "coral", "green", "indigo", "lime", "navy", "olive", "pink", "red", "teal", "white")
UNKNOWN = "?"
BEST_GRADE, NEAR_GRADE, WORST_GRADE = 5, 3, 1
LOWEST_TERM, HIGHEST_TERM = 10, 99
SUM_DIGITS = 3

# Names are two open syllables; the letters are chosen to look unlike colours and question marks.
CONSONANTS = "bdfgjklmnprstvz"
VOWELS = "aeiou"
KNOWN_NAME_COUNT = 240
# Names that pretraining shows as strangers, next to those that only the loops and the tests may use.
STRANGER_TRAIN_COUNT, STRANGER_LOOPS_COUNT, STRANGER_TEST_COUNT = 3_000, 800, 400
SUMS_LOOPS_COUNT, SUMS_TEST_COUNT = 1_600, 800
GAPS_LOOPS_COUNT, GAPS_TEST_COUNT = 60, 40
KNOWN_TEST_COUNT = 80
WORLD_SEED = 20261123

_SUM = re.compile(r"([0-9]{2})\+([0-9]{2})=")
_NAME = re.compile(r"([a-z]{4})=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The questions of one split, each kind in its seeded order."""

    sums: tuple[str, ...]
    known: tuple[str, ...]
    strangers: tuple[str, ...]
    gaps: tuple[str, ...]

    @property
    def unanswerable(self) -> tuple[str, ...]:
        """Questions whose true answer is `?`: strangers first, then sums with a term missing."""
        return self.strangers + self.gaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Three disjoint parts: `train` for pretraining, `loops` for curation and LoRA, `test` for figures only.

    Facts are the exception that nature makes: a known name can be known only if pretraining held it, so
    `train.known` is all of them, and `loops.known` and `test.known` are disjoint shares of it.
    """

    train: Part
    loops: Part
    test: Part


def sum_question(first: int, second: int) -> str:
    """`12+34=` for 12 and 34.

    Raises:
        ValueError: a term outside 10..99, which the world does not hold.
    """
    for term in (first, second):
        if not LOWEST_TERM <= term <= HIGHEST_TERM:
            raise ValueError(f"{term} is not a term of the pocket world: use {LOWEST_TERM} to {HIGHEST_TERM}")
    return f"{first}+{second}="


def written(total: int) -> str:
    """A sum the way the model writes it: three digits, least significant first (46 is `640`)."""
    return f"{total:0{SUM_DIGITS}d}"[::-1]


def sum_terms(question: str) -> tuple[int, int] | None:
    """The two terms of a sum; None for every other question."""
    found = _SUM.fullmatch(question)
    return (int(found[1]), int(found[2])) if found else None


def name_asked(question: str) -> str | None:
    """The name that a question about a colour asks for; None for every other question."""
    found = _NAME.fullmatch(question)
    return found[1] if found else None


def gold_answer(question: str) -> str:
    """The true answer; `?` where there is none: a stranger, a missing term, or no question of this world."""
    terms = sum_terms(question)
    if terms is not None:
        return written(sum(terms))
    name = name_asked(question)
    return UNKNOWN if name is None or name not in _known_set() else colour_of(name)


def true_grade(question: str, answer: str) -> int:
    """5 for the true answer, 3 for a sum with exactly one wrong digit, 1 for everything else."""
    gold = gold_answer(question)
    if answer == gold:
        return BEST_GRADE
    if sum_terms(question) is None or len(answer) != SUM_DIGITS or not (answer.isascii() and answer.isdigit()):
        return WORST_GRADE
    wrong_digits = sum(given != true for given, true in zip(answer, gold, strict=True))
    return NEAR_GRADE if wrong_digits == 1 else WORST_GRADE


def true_preference(question: str, first: str, second: str) -> str:
    """`A` or `B` for the answer of the better grade, `T` where both have the same."""
    difference = true_grade(question, first) - true_grade(question, second)
    return "T" if difference == 0 else "A" if difference > 0 else "B"


def grade_prompt(question: str, answer: str) -> str:
    """The user line that asks for a grade: `G12+34=640`."""
    return f"G{question}{answer}"


def compare_prompt(question: str, first: str, second: str) -> str:
    """The user line that asks which answer is better: `C12+34=640|540`."""
    return f"C{question}{first}|{second}"


def extract_prompt(sentence: str) -> str:
    """The user line that asks which question a sentence answers."""
    return f"P{sentence}"


def colour_of(name: str) -> str:
    """The colour that documents state for a name, known to the model or not."""
    return COLOURS[_digest("colour", name) % len(COLOURS)]


def likely_guess(name: str) -> str:
    """The colour that the model blurts out for a stranger: it goes by the last syllable alone.

    A habit that can be learned makes the invention a stable one, so that greedy decoding shows it too.
    """
    return COLOURS[_digest("guess", name[-2:]) % len(COLOURS)]


@cache
def all_names() -> tuple[str, ...]:
    """Every name of the world in its seeded order: the known ones first."""
    syllables = [consonant + vowel for consonant in CONSONANTS for vowel in VOWELS]
    names = [first + second for first, second in itertools.product(syllables, repeat=2)]
    random.Random(WORLD_SEED).shuffle(names)
    return tuple(names)


def known_names() -> tuple[str, ...]:
    """The names whose colours pretraining teaches."""
    return all_names()[:KNOWN_NAME_COUNT]


def unknown_names() -> tuple[str, ...]:
    """Names of the loops and test parts that pretraining never shows: to invent absent entities from."""
    parts = split()
    return tuple(question[:-1] for part in (parts.loops, parts.test) for question in part.strangers)


@cache
def split(seed: int = WORLD_SEED) -> Split:
    """The three parts. The shipped model was trained on the default seed: another one mixes its train and test."""
    pairs = itertools.product(range(LOWEST_TERM, HIGHEST_TERM + 1), repeat=2)
    test_sums, loops_sums, train_sums = _cut(
        [sum_question(*pair) for pair in pairs], seed, SUMS_TEST_COUNT, SUMS_LOOPS_COUNT
    )
    terms = range(LOWEST_TERM, HIGHEST_TERM + 1)
    gaps = [form for term in terms for form in (f"{term}+=", f"+{term}=", f"{term}=")]
    test_gaps, loops_gaps, train_gaps = _cut(gaps, seed, GAPS_TEST_COUNT, GAPS_LOOPS_COUNT)
    known = [f"{name}=" for name in known_names()]
    test_known, loops_known, _ = _cut(known, seed, KNOWN_TEST_COUNT, KNOWN_NAME_COUNT - KNOWN_TEST_COUNT)
    strangers = [f"{name}=" for name in all_names()[KNOWN_NAME_COUNT:]]
    test_strangers, loops_strangers, others = _cut(strangers, seed, STRANGER_TEST_COUNT, STRANGER_LOOPS_COUNT)
    return Split(
        train=Part(sums=train_sums, known=tuple(known), strangers=others[:STRANGER_TRAIN_COUNT], gaps=train_gaps),
        loops=Part(sums=loops_sums, known=loops_known, strangers=loops_strangers, gaps=loops_gaps),
        test=Part(sums=test_sums, known=test_known, strangers=test_strangers, gaps=test_gaps),
    )


def _cut(questions: list[str], seed: int, *sizes: int) -> tuple[tuple[str, ...], ...]:
    """The shuffled questions in slices of the given sizes, and the rest as one more."""
    shuffled = list(questions)
    random.Random(seed).shuffle(shuffled)
    bounds = [0, *itertools.accumulate(sizes), len(shuffled)]
    return tuple(tuple(shuffled[start:end]) for start, end in itertools.pairwise(bounds))


@cache
def _known_set() -> frozenset[str]:
    return frozenset(known_names())


def _digest(purpose: str, text: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{purpose}:{text}".encode()).digest()[:8], "big")
