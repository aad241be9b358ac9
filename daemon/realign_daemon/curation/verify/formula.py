r"""Formula: the expressions that math-verify's parser reads as people do, put so that it does. Standard library only.

Tried with math-verify 0.9 and latex2sympy2_extended 1.11: "2(3)", "(2)(3)" and "2 3" were 5, "2\frac{3}{2}" was 7/2,
"x(3)" and "\pi(3)" were functions of 3, "6/2(1+2)" was 1, "3!!" was 720, "\frac{dy}{dx}" was 0 in the end. "X"
was x, and "EI" held the imaginary unit. So products and names are spelt out, and what has two readings has none.
"""

from __future__ import annotations

import re

from realign_daemon.curation.verify.notation import Unreadable

MAX_PLACES = 12  # of a decimal within an expression: the parser's floating point numbers keep 15 digits
_SYMBOLS = "pi theta alpha beta gamma delta epsilon lambda mu omega phi sigma rho tau infty"
_FUNCTIONS = "frac sqrt ln log exp sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh binom"
_COMMANDS = frozenset(f"\\{name}" for name in f"{_SYMBOLS} {_FUNCTIONS} cdot times div".split())
_TOKEN = re.compile(r"\\[A-Za-z]+|\d+(?:\.\d*)?|\.\d+|[A-Za-z]+|[-+*/^_!|(){}\[\] ]")
_FACTOR = r"(?>\d++(?:\.\d++)?+|[A-Za-z]|\\[a-z]++(?: ?\{[^{}]*\})*+|\([^()]*\))(?:\^\{[^{}]*\})?+"
_TWO_READINGS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"/ ?{_FACTOR} ?(?:[A-Za-z\d({{|]|\\(?!cdot|times|div))",  # a/bc
        r"[\d.] +[\d.]|\.\d*\.",  # 2 3
        r"\} ?[\d.]",  # \frac{1}{2}3
        r"(?:^|[^A-Za-z}\]^_]) ?\{|(?<!\\sqrt) ?\[",  # 1{3}: 4 to the parser
        rf"(?:(?<![A-Za-z\\])[A-Za-z]{{1,2}}|!|\\(?:{'|'.join(_SYMBOLS.split())})) ?[\d.]",  # x2
        r"(?<![A-Za-z\d])_|\.\d*_|\\(?!log)[a-z]+ ?_|_(?!\{\w+\})",  # the parser drops many a subscript
        r"\d ?\\frac ?\{ ?-?\d+ ?\} ?\{ ?\d+ ?\}",  # 2\frac{3}{2}: mixed number or product
        r"[!}] ?!",
        r"\} ?\^",  # a power of a power, or of a fraction
        r"(?<![A-Za-z\\])[fghFGHP] ?\(",  # a function that nobody defined
        r"(?<![\\A-Za-z])d ?[A-Za-z](?![A-Za-z])",  # a differential
    )
)
_PRODUCTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<=\d) ?(?=\(|\\frac(?![A-Za-z]))",
        r"(?<=\)) ?(?=[(\d])",
    )
)
_VARIABLE = re.compile(r"\\[A-Za-z]+|[A-Za-z](?:_\{\w+\})?|\d+_\{\w+\}")
_SYMBOL_BEFORE_BRACKET = re.compile(rf"((?<![A-Za-z\\])[A-Za-z]{{1,2}}|\\(?:{'|'.join(_SYMBOLS.split())})) ?\(")


def unambiguous(text: str) -> str:
    """The formula (tidy notation) with every product before a bracket spelt out.

    Raises:
        Unreadable: it uses what is not known here, or has two readings.
    """
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None or not _is_known(token[0]):
            raise Unreadable
        position = token.end()
    if text.count("|") not in {0, 2} or any(pattern.search(text) for pattern in _TWO_READINGS):
        raise Unreadable
    for pattern in _PRODUCTS:
        text = pattern.sub(r"\\cdot ", text)
    return _SYMBOL_BEFORE_BRACKET.sub(r"\1\\cdot (", text)


def with_plain_names(text: str) -> str:
    """The formula with other names for variables that are no small letters, and for numerals to a base.

    The parser takes X for x and 1010_{2} for 1010.
    """
    return _VARIABLE.sub(_plain_name, text)


def _plain_name(found: re.Match[str]) -> str:
    name = found[0]
    if name.startswith("\\") or (len(name) == 1 and name.islower()):
        return name
    return f"x_{{9{''.join(f'{ord(character):03d}' for character in name)}}}"


def is_constant(text: str) -> bool:
    """Whether the formula has no variables: its only letters are e, i and those of commands, Greek ones aside."""
    names = set(re.findall(r"\\[A-Za-z]+|[A-Za-z]", text))
    variables = {f"\\{name}" for name in _SYMBOLS.split()} - {r"\pi", r"\infty"}
    return all((name.startswith("\\") and name not in variables) or name in {"e", "i"} for name in names)


def _is_known(token: str) -> bool:
    if token.startswith("\\"):
        return token in _COMMANDS
    if token.isalpha():
        return len(token) < 3  # noqa: PLR2004 - a longer run of letters is a word, not a product
    return len(token.partition(".")[2]) <= MAX_PLACES
