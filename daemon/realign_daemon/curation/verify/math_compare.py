"""Math compare: whether two answers are the same, by math-verify and by a second opinion that must agree with it.

Runs only in the checking process (math_child.py), whose owner kills it when it takes too long. math-verify is lenient
on purpose: it rounds, drops units, lets tuples equal sets and takes tiny differences for none. Here the shapes have to
agree first, every number is exact, and what math-verify accepts must agree at chosen points to many digits and have a
difference that is zero by algebra.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# sympy and math-verify are partly typed: what comes out of them is Any.

from __future__ import annotations

import logging
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias, cast

import sympy
from math_verify import parse, verify
from math_verify.parser import LatexExtractionConfig, NormalizationConfig
from sympy import Expr, Float, Pow, Rational, Symbol, binomial, factorial
from sympy.functions.elementary.hyperbolic import HyperbolicFunction
from sympy.functions.elementary.trigonometric import InverseTrigonometricFunction, TrigonometricFunction

from realign_daemon.curation.verify.formula import with_plain_names
from realign_daemon.curation.verify.notation import Unreadable
from realign_daemon.curation.verify.quantity import Quantity
from realign_daemon.curation.verify.result import Result
from realign_daemon.curation.verify.shape import (
    Bracketed,
    Expression,
    Listing,
    Matrix,
    Relation,
    Shape,
    Union,
    assigned,
    read_shape,
)

logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that it has no time limit: the owner sets one

_Term: TypeAlias = Any  # sympy says little about what its functions give

# A reference that is a decimal stands for the values that round to it only if it is written this precisely; "0.5" and
# "12.25" are rather exact, and "3.14" is the same for π and 22/7.
ROUNDED_PLACES = 3
ROUNDED_DIGITS = 4
DIGITS = 60  # compared at a point
_POINTS = 4
_POINTS_NEEDED = 2  # the others may lie outside the domain
_SMALL = 10**6  # different algebraic numbers made of a few numbers this small differ within DIGITS digits
_MAX_POWER_DIGITS = 10_000
_MAX_FACTORIAL = 1_000
# Nothing is extracted, no unit dropped, no box opened: the text is one formula.
_READING = LatexExtractionConfig(
    boxed_match_priority=-1,
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=False, nits=False, boxed="none"
    ),
)
_KNOWN = (
    sympy.Add, sympy.Mul, Pow, sympy.Abs, sympy.exp, sympy.log, factorial, binomial, TrigonometricFunction,
    InverseTrigonometricFunction, HyperbolicFunction, sympy.UnevaluatedExpr,
)  # fmt: skip


def check(answer: str, gold: str) -> Result:
    """Whether two final answers are the same: "correct", "wrong" or "gold_unparseable"."""
    wanted, given = read_shape(gold), read_shape(answer)
    if wanted is None or not _is_parsed(wanted):
        return "gold_unparseable"
    if given is None or not _is_parsed(given):
        return "wrong"
    # "x = 3" as an answer to "3" and the other way round, but not within lists: "5, 6" does not say which is x.
    if not isinstance(wanted, Relation):
        given = (assigned(given) or ("", given))[1]
    elif not isinstance(given, Relation):
        wanted = (assigned(wanted) or ("", wanted))[1]
    return "correct" if _same(wanted, given) else "wrong"


def _is_parsed(shape: Shape) -> bool:
    match shape:
        case Quantity():
            return True
        case Expression():
            try:
                _parsed(shape.text)
            except Unreadable:
                return False
            return True
        case Matrix():
            return all(_is_parsed(entry) for row in shape.rows for entry in row)
        case Relation():
            return all(_is_parsed(term) for term in shape.terms)
        case Listing() | Bracketed() | Union():
            return all(_is_parsed(part) for part in shape.parts)


def _same(gold: Shape, answer: Shape) -> bool:  # noqa: PLR0911 - one for each shape
    match gold, answer:
        case ((Quantity() | Expression()), (Quantity() | Expression())):
            return _same_value(gold, answer)
        case ((Listing() | Bracketed(opening=r"\{")), (Listing() | Bracketed(opening=r"\{"))):
            return _same_in_any_order(gold.parts, answer.parts)
        case Union(), Union():
            return _same_in_any_order(gold.parts, answer.parts)
        case Bracketed(), Bracketed():
            brackets = (gold.opening, gold.closing) == (answer.opening, answer.closing)
            return brackets and _same_in_order(gold.parts, answer.parts)
        case Matrix(), Matrix():
            return (
                gold.environment == answer.environment
                and len(gold.rows) == len(answer.rows)
                and all(_same_in_order(*rows) for rows in zip(gold.rows, answer.rows, strict=True))
            )
        case Relation(), Relation():
            return _same_relation(gold, answer)
        case _:
            return False


def _same_in_order(gold: tuple[Shape, ...], answer: tuple[Shape, ...]) -> bool:
    return len(gold) == len(answer) and all(_same(*pair) for pair in zip(gold, answer, strict=True))


def _same_in_any_order(gold: tuple[Shape, ...], answer: tuple[Shape, ...]) -> bool:
    left = list(answer)
    for wanted in gold:
        found = next((position for position, given in enumerate(left) if _same(wanted, given)), None)
        if found is None:
            return False
        del left[found]
    return not left


def _same_relation(gold: Relation, answer: Relation) -> bool:
    if gold.operators != answer.operators:
        return False
    if _same_in_order(gold.terms, answer.terms):
        return True
    wanted, given = _difference(gold), _difference(answer)
    if wanted is None or given is None or not wanted.free_symbols:
        return False  # "1 = 1" is no other way to say "2 = 2"
    turned = gold.operators in {("=",), (r"\ne",)} and _same_expression(wanted, -given)
    return turned or _same_expression(wanted, given)


def _difference(relation: Relation) -> _Term:
    """Left minus right side; None unless there are two sides, both of them numbers or formulas."""
    match relation.terms:
        case ((Quantity() | Expression()) as left, (Quantity() | Expression()) as right):
            return _value(left) - _value(right)
        case _:
            return None


def _same_value(gold: Quantity | Expression, answer: Quantity | Expression) -> bool:
    gold_unit = gold.unit if isinstance(gold, Quantity) else ""
    unit = answer.unit if isinstance(answer, Quantity) else ""
    # An answer may leave the unit out, never change it. A dollar sign alone is also somebody's half-open formula.
    if unit not in {"", gold_unit} and not (unit == "$" and not gold_unit):
        return False
    if isinstance(gold, Quantity) and isinstance(answer, Quantity) and gold.value == answer.value:
        return True
    wanted, given = _value(gold), _value(answer)
    if isinstance(gold, Quantity) and _stands_for_rounded(gold):
        return _rounds_to(gold, answer, given)
    exact = isinstance(gold, Quantity) and isinstance(answer, Quantity)
    return not exact and _same_expression(wanted, given)


def _stands_for_rounded(gold: Quantity) -> bool:
    return gold.places is not None and (gold.places >= ROUNDED_PLACES or gold.significant >= ROUNDED_DIGITS)


def _rounds_to(gold: Quantity, answer: Quantity | Expression, value: _Term) -> bool:
    """Whether an exact value without an end in decimals is what the gold decimal was rounded from."""
    if isinstance(answer, Quantity) and answer.places is not None:
        return False  # another decimal
    if value.free_symbols or value.is_finite is not True or value.is_real is not True or _terminates(value):
        return value.is_Rational is True and Fraction(int(value.p), int(value.q)) == gold.value
    error = abs(value - _rational(gold.value)).evalf(DIGITS)
    return bool(error <= Rational(1, 2 * 10 ** (gold.places or 0)))


def _terminates(value: _Term) -> bool:
    if not value.is_Rational:
        return False
    below = int(value.q)
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
    return below == 1


def _value(leaf: Quantity | Expression) -> _Term:
    return _rational(leaf.value) if isinstance(leaf, Quantity) else _parsed(leaf.text)


def _rational(value: Fraction) -> _Term:
    return Rational(value.numerator, value.denominator)


@lru_cache(maxsize=1_000)
def _parsed(text: str) -> _Term:
    """The expression, exact, with real variables. Raises Unreadable when the parser makes anything else of it."""
    found = parse(
        f"${with_plain_names(text)}$",
        [_READING],
        fallback_mode="no_fallback",
        extraction_mode="first_match",
        parsing_timeout=cast("int", None),
    )
    if len(found) != 1 or not isinstance(found[0], Expr):
        raise Unreadable
    return _exact(found[0])


def _exact(node: _Term) -> _Term:
    """The expression built again: evaluated, decimals as fractions, variables by name, nothing huge."""
    if isinstance(node, Symbol):
        return sympy.I if node.name == "i" else Symbol(node.name, real=True)
    if isinstance(node, Float):
        return Rational(str(node))
    if not node.args and isinstance(node, sympy.Number | sympy.core.numbers.NumberSymbol):
        return node
    if not isinstance(node, _KNOWN):
        raise Unreadable
    parts = [_exact(part) for part in node.args]
    if isinstance(node, sympy.UnevaluatedExpr):
        return parts[0]
    if (isinstance(node, Pow) and _is_huge(*parts)) or (
        isinstance(node, factorial | binomial) and not _is_modest(parts)
    ):
        raise Unreadable
    value = node.func(*parts)
    if value.has(sympy.nan, sympy.zoo):
        raise Unreadable
    return value


def _is_huge(base: _Term, exponent: _Term) -> bool:
    if not isinstance(base, Rational) or not isinstance(exponent, Rational):
        return False
    digits = max(len(str(abs(int(base.p)))), len(str(int(base.q))))
    return bool(abs(exponent) * digits > _MAX_POWER_DIGITS)


def _is_modest(arguments: list[_Term]) -> bool:
    return all(not isinstance(part, Rational) or abs(part) <= _MAX_FACTORIAL for part in arguments)


def _same_expression(gold: _Term, answer: _Term) -> bool:
    if gold == answer:
        return True
    if gold.is_Rational and answer.is_Rational:
        return False
    if gold.has(sympy.oo, -sympy.oo) or answer.has(sympy.oo, -sympy.oo):
        return False
    return (
        _agree_at_points(gold, answer) and verify(gold, answer, timeout_seconds=None) and _differ_by_zero(gold, answer)
    )


def _agree_at_points(gold: _Term, answer: _Term) -> bool:
    names = sorted(gold.free_symbols.union(answer.free_symbols), key=str)
    agreed = 0
    for point in range(_POINTS if names else 1):
        # Fractions without a pattern that a formula could vanish on, on both sides of zero.
        values = {
            name: Rational((7919 * (point + 1) * (place + 2)) % 1009 - 504, 97) for place, name in enumerate(names)
        }
        wanted, given = (expression.xreplace(values).evalf(DIGITS) for expression in (gold, answer))
        if not (_is_number(wanted) and _is_number(given)):
            continue
        agreed += 1
        scale = max(abs(wanted), abs(given))
        if abs(wanted - given) > scale * Rational(1, 10 ** (DIGITS - 10)):
            return False
    return agreed >= (_POINTS_NEEDED if names else 1)


def _is_number(value: _Term) -> bool:
    return bool(value.is_number and value.is_finite)


def _differ_by_zero(gold: _Term, answer: _Term) -> bool:
    difference = gold - answer
    if sympy.expand(difference) == 0:
        return True
    if difference.is_number and gold.is_algebraic and answer.is_algebraic:
        numbers = difference.atoms(Rational)
        if all(abs(int(one.p)) <= _SMALL and int(one.q) <= _SMALL for one in numbers):
            return True  # they agree in more digits than such numbers can without being the same
    return bool(sympy.simplify(difference) == 0)
