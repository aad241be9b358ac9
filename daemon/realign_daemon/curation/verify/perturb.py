"""Perturb: answers that are near a reference and certainly wrong. Standard library only; the same every time.

They show that a check can tell right from wrong, and are planted to measure how often it cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from realign_daemon.curation.verify.final import final_answer
from realign_daemon.curation.verify.quantity import Quantity
from realign_daemon.curation.verify.shape import (
    Bracketed,
    Expression,
    Listing,
    Matrix,
    Relation,
    Shape,
    Union,
    read_shape,
)
from realign_daemon.curation.verify.text import CHOICES, answer_type, chosen, normalised

FEWEST_CHOICES = 4
ROUNDING = Fraction(1, 100)  # two numbers nearer to each other than this may be the same, one of them rounded
_OTHER_BRACKET = {"(": "[", "[": "(", ")": "]", "]": ")"}
_OTHER_OPERATOR = {"=": r"\ne", r"\ne": "=", "<": r"\le", r"\le": "<"}


def wrong_golds(gold: str) -> tuple[str, ...]:
    """Answers that differ from the gold one, each near it in another way; none for code, which has mutants.

    Numbers: one more, one less, other sign, ten times, digits swapped, turned over. Formulas: one more, other sign.
    Lists, pairs and intervals: one part wrong or missing, other order or bracket. Choices: the other letters.
    """
    answer = final_answer(gold)
    kind, letter, shape = answer_type(gold), chosen(answer), read_shape(answer)
    if kind == "code" or not answer:
        return ()
    if kind == "choice" and letter is not None:
        return tuple(other for other in CHOICES[: max(FEWEST_CHOICES, CHOICES.index(letter) + 1)] if other != letter)
    if shape is None:
        return (f"not {answer}", f"{answer} or not")
    return tuple(dict.fromkeys(_written(wrong) for wrong in _wrong(shape)))


def further_wrong_golds(gold: str) -> tuple[str, ...]:
    """Answers made wrong twice over, none of them the gold one again or one of `wrong_golds`.

    A gold is used only if those are rejected; so whether the check is strict shows on others only. None for words,
    where twice wrong may be right.
    """
    shape = read_shape(final_answer(gold))
    if answer_type(gold) == "choice":
        return tuple(letter for letter in CHOICES if letter not in {chosen(final_answer(gold)), *wrong_golds(gold)})
    if answer_type(gold) not in {"number", "expression"} or shape is None:
        return ()
    tried = (shape, *_wrong(shape))
    further = (twice for once in tried[1:] for twice in _wrong(once) if twice not in tried)
    known = {_written(one) for one in tried}
    return tuple(text for text in dict.fromkeys(map(_written, further)) if text not in known)


def certainly_differ(one: str, other: str) -> bool:
    """Whether two golds are different answers beyond doubt: numbers far enough apart, other letters, other words.

    Never formulas, since one may be put in many ways.
    """
    kinds = {answer_type(one), answer_type(other)}
    one, other = final_answer(one), final_answer(other)
    if kinds == {"choice"}:
        return chosen(one) != chosen(other)
    match read_shape(one), read_shape(other):
        case Quantity(value=left), Quantity(value=right):
            return abs(left - right) > ROUNDING * max(abs(left), abs(right))
        case None, None:
            return kinds == {"text"} and normalised(one) != normalised(other)
        case _:
            return False


def _written(shape: Shape) -> str:  # noqa: PLR0911 - one for each shape
    """The shape as an answer that reads as the same shape."""
    match shape:
        case Quantity():
            return _number(shape)
        case Expression():
            return shape.text
        case Listing():
            return ", ".join(_written(part) for part in shape.parts)
        case Bracketed():
            return f"{shape.opening}{', '.join(_written(part) for part in shape.parts)}{shape.closing}"
        case Union():
            return r" \cup ".join(_written(part) for part in shape.parts)
        case Matrix():
            name = "pmatrix" if shape.environment == "matrix" else shape.environment
            rows = r" \\ ".join(" & ".join(_written(entry) for entry in row) for row in shape.rows)
            return rf"\begin{{{name}}} {rows} \end{{{name}}}"
        case Relation():
            rest = zip(shape.operators, shape.terms[1:], strict=True)
            return " ".join([_written(shape.terms[0]), *(f"{operator} {_written(term)}" for operator, term in rest)])


def _wrong(shape: Shape) -> Iterator[Shape]:
    match shape:
        case Quantity():
            for value in _wrong_values(shape):
                yield Quantity(value=value, places=shape.places, unit=shape.unit)
        case Expression(text=text):
            yield Expression(text=rf"{text} + 1" if "infty" not in text else "0")
            yield Expression(text=rf"{text} - \frac{{1}}{{7}}" if "infty" not in text else "1")
        case Listing() | Union():
            yield from (type(shape)(parts=parts) for parts in _one_wrong(shape.parts))
            if len(shape.parts) > 1:
                yield shape.parts[0]
        case Bracketed():
            yield from _wrong_brackets(shape)
        case Matrix():
            for entry in _wrong(shape.rows[0][0]):
                yield Matrix(environment=shape.environment, rows=((entry, *shape.rows[0][1:]), *shape.rows[1:]))
        case Relation():
            yield from (Relation(operators=shape.operators, terms=terms) for terms in _one_wrong(shape.terms))
            first, *rest = shape.operators
            yield Relation(operators=(_OTHER_OPERATOR[first], *rest), terms=shape.terms)


def _wrong_brackets(shape: Bracketed) -> Iterator[Shape]:
    yield from (
        Bracketed(opening=shape.opening, closing=shape.closing, parts=parts) for parts in _one_wrong(shape.parts)
    )
    if shape.opening == r"\{":
        return
    if len(set(shape.parts)) == len(shape.parts) == 2 and all(isinstance(part, Quantity) for part in shape.parts):  # noqa: PLR2004
        yield Bracketed(opening=shape.opening, closing=shape.closing, parts=shape.parts[::-1])
    if shape.closing in _OTHER_BRACKET:
        yield Bracketed(opening=shape.opening, closing=_OTHER_BRACKET[shape.closing], parts=shape.parts)


def _one_wrong(parts: tuple[Shape, ...]) -> Iterator[tuple[Shape, ...]]:
    """The parts with the last one wrong in each way: a first one may be a name."""
    for wrong in _wrong(parts[-1]):
        yield (*parts[:-1], wrong)


def _wrong_values(gold: Quantity) -> tuple[Fraction, ...]:
    value, step = gold.value, Fraction(1, 10 ** (gold.places or 0))
    candidates = [value + step, value - step, -value, value * 10, _swapped(gold), value + 1]
    if value != 0 and gold.places is None:
        candidates.append(1 / value)
    return tuple(one for one in dict.fromkeys(candidates) if one != value)


def _swapped(gold: Quantity) -> Fraction:
    """The value with the first two neighbouring digits swapped that differ; the value itself when all are the same."""
    scale = 10 ** (gold.places or 0)
    if (gold.value * scale).denominator != 1:
        return Fraction(gold.value.denominator, gold.value.numerator) if gold.value else gold.value
    digits = str(abs(int(gold.value * scale)))
    for place, (left, right) in enumerate(pairwise(digits)):
        if left != right:
            digits = f"{digits[:place]}{right}{left}{digits[place + 2 :]}"
            break
    return Fraction(int(digits), scale) * (-1 if gold.value < 0 else 1)


def _number(quantity: Quantity) -> str:
    value, sign = abs(quantity.value), "-" if quantity.value < 0 else ""
    if quantity.places is not None:
        scaled = f"{int(value * 10**quantity.places):0{quantity.places + 1}d}"
        text = f"{scaled[: -quantity.places]}.{scaled[-quantity.places :]}"
    elif value.denominator == 1:
        text = str(value.numerator)
    else:
        text = rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
    if quantity.unit == "$":
        return f"{sign}${text}"
    if quantity.unit.startswith("°"):
        return f"{sign}{text}{quantity.unit}"
    return rf"{sign}{text} \text{{ {quantity.unit}}}" if quantity.unit else f"{sign}{text}"
