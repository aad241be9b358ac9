"""Shape: what kind of thing an answer is, with its parts. Standard library only.

An answer equals a reference only where the shapes agree: a list is no number, an equation no value, [1, 2] no (1, 2).
The leaves are numbers and expressions (see formula.py); what cannot be read for certain has no shape.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from realign_daemon.curation.verify.formula import is_constant, unambiguous
from realign_daemon.curation.verify.notation import Unreadable, tidy
from realign_daemon.curation.verify.quantity import Quantity, read_quantity

MAX_PARTS = 24  # comparing unordered parts takes their number squared


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A formula in tidy notation that the parser is known to read as people do."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Several answers without brackets, in any order: "3, 5", "3 or 5", "x = 3, x = 5"."""

    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracketed:
    """Parts between brackets: pairs, vectors, intervals; a set, whose order does not count, between braces."""

    opening: str
    closing: str
    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Union:
    r"""Intervals and sets joined by \cup, in any order."""

    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Rows of entries; `environment` tells a matrix from its determinant."""

    environment: str
    rows: tuple[tuple[Shape, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    r"""Terms with an operator between each two: "x = 3", "1 < x \le 5". Turned so that no operator is > or \ge."""

    operators: tuple[str, ...]
    terms: tuple[Shape, ...]


Shape: TypeAlias = Quantity | Expression | Listing | Bracketed | Union | Matrix | Relation

_OPENING, _CLOSING = ("(", "[", "{", r"\{", r"\langle"), (")", "]", "}", r"\}", r"\rangle")
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|(?<![A-Za-z])(?:and|or)(?![A-Za-z])|.", re.DOTALL)
_OPERATORS = frozenset({"=", "<", ">", r"\le", r"\ge", r"\ne"})
_TURNED = {">": "<", r"\ge": r"\le", "=": "="}
_MATRIX = re.compile(r"\\begin ?\{([pbvBV]?matrix)\}(.*)\\end ?\{\1\}")
_NAME = re.compile(r"(?:[A-Za-z]|\\[a-z]+)(?:_\{\w+\})?")
_PLUS_MINUS = r"\pm"


def read_shape(answer: str) -> Shape | None:
    """What the answer is; None when it cannot be read as mathematics for certain."""
    try:
        return _shape(tidy(answer))
    except (Unreadable, RecursionError):
        return None


def assigned(shape: Shape) -> tuple[str, Shape] | None:
    """The name and the value of "x = 3" and the like, the value a number or a constant; None of anything else."""
    match shape:
        case Relation(operators=("=",), terms=(Expression(text=name), (Quantity() | Expression()) as value)):
            is_value = isinstance(value, Quantity) or is_constant(value.text)
            return (name, value) if is_value and _NAME.fullmatch(name) else None
        case _:
            return None


def _shape(text: str) -> Shape:
    text = _without_group(text.strip())
    if not text:
        raise Unreadable
    quantity = read_quantity(text)
    if quantity is not None:
        return quantity
    for reading in (_matrix, _listing, _relation, _union, _bracketed, _plus_minus):
        found = reading(text)
        if found is not None:
            return found
    return Expression(text=unambiguous(text))


def _matrix(text: str) -> Matrix | None:
    found = _MATRIX.fullmatch(text)
    if found is None:
        return None
    rows = tuple(_shapes(row.split("&")) for row in found[2].strip().removesuffix(r"\\").split(r"\\"))
    if len({len(row) for row in rows}) != 1:
        raise Unreadable
    # Round and square brackets are two habits; bars make a determinant or a norm of it.
    return Matrix(environment="matrix" if found[1] in {"pmatrix", "bmatrix"} else found[1], rows=rows)


def _listing(text: str) -> Listing | None:
    pieces = _split(text, ",", ";", "and", "or")
    if len(pieces) == 1:
        return None
    # Of "1, 2, and 3" one piece is empty; others must not be.
    parts = _shapes([piece for (piece, _), (_, next_) in zip(pieces, [*pieces[1:], ("", "")], strict=True)
                     if piece or next_ not in {"and", "or"}])  # fmt: skip
    return Listing(parts=_values_of_one(parts))


def _values_of_one(parts: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """The values of "x = 3, x = 5" and of "x = 3, 5"; anything else, such as a value for each of x and y, unchanged."""
    found = [assigned(part) for part in parts]
    names = {one[0] for one in found if one}
    if found[0] is None or len(names) != 1:
        return parts
    if any(one is None and isinstance(part, Relation) for one, part in zip(found, parts, strict=True)):
        return parts
    return tuple(one[1] if one else part for one, part in zip(found, parts, strict=True))


def _relation(text: str) -> Shape | None:
    pieces = _split(text, *_OPERATORS, r"\in", r"\approx")
    if len(pieces) == 1:
        return None
    operators = [operator for _, operator in pieces[1:]]
    if operators == [r"\in"] and _NAME.fullmatch(pieces[0][0]):
        return _shape(pieces[1][0])
    terms = _shapes([term for term, _ in pieces])
    if any(isinstance(term, Relation | Listing) for term in terms) or not _OPERATORS.issuperset(operators):
        raise Unreadable
    if not {">", r"\ge"}.isdisjoint(operators):
        if not set(operators) <= set(_TURNED):
            raise Unreadable  # "1 < x > 0"
        operators, terms = [_TURNED[operator] for operator in reversed(operators)], terms[::-1]
    return Relation(operators=tuple(operators), terms=terms)


def _union(text: str) -> Union | None:
    pieces = _split(text, r"\cup")
    if len(pieces) == 1:
        return None
    parts = _shapes([piece for piece, _ in pieces])
    if not all(isinstance(part, Bracketed) for part in parts):
        raise Unreadable
    return Union(parts=parts)


def _bracketed(text: str) -> Shape | None:
    tokens: list[str] = _TOKEN.findall(text)
    first, inner, last = tokens[0], tokens[1:-1], tokens[-1]
    if first not in _OPENING or last not in _CLOSING or first == "{" or not _is_balanced(inner):
        return None
    pieces = [piece for piece, _ in _split("".join(inner), ",")]
    if len(pieces) > 1 or first == r"\{":
        return Bracketed(opening=first, closing=last, parts=_shapes(pieces))
    if (first, last) != ("(", ")"):
        raise Unreadable
    return _shape(pieces[0])


def _plus_minus(text: str) -> Listing | None:
    if _PLUS_MINUS not in text:
        return None
    if text.count(_PLUS_MINUS) > 1:
        raise Unreadable
    return Listing(parts=_shapes([text.replace(_PLUS_MINUS, sign) for sign in "+-"]))


def _shapes(pieces: list[str]) -> tuple[Shape, ...]:
    if len(pieces) > MAX_PARTS:
        raise Unreadable
    return tuple(_shape(piece) for piece in pieces)


def _split(text: str, *separators: str) -> list[tuple[str, str]]:
    """The pieces of the text, cut outside of brackets, each with the separator before it ("" for the first)."""
    pieces: list[tuple[str, str]] = []
    current, before, depth = "", "", 0
    for token in _TOKEN.findall(text):
        depth += (token in _OPENING) - (token in _CLOSING)
        if depth == 0 and token in separators:
            pieces.append((current.strip(), before))
            current, before = "", token
        else:
            current += token
    return [*pieces, (current.strip(), before)]


def _is_balanced(tokens: list[str]) -> bool:
    depth = 0
    for token in tokens:
        depth += (token in _OPENING) - (token in _CLOSING)
        if depth < 0:
            return False
    return depth == 0


def _without_group(text: str) -> str:
    while text.startswith("{") and text.endswith("}") and _is_balanced(_TOKEN.findall(text[1:-1])):
        text = text[1:-1].strip()
    return text
