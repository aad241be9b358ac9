"""Notation: one way of writing an answer, so that spelling does not decide. Pure; standard library only.

Only spellings that mean the same thing are made the same. Other characters than ASCII that are not listed here make an
answer unreadable: compatibility folding would turn 5² into 52 and 3½ into 31/2.
"""

from __future__ import annotations

import re

MAX_CHARACTERS = 500  # of an answer in notation; final answers are far shorter, and parsers are slow on long ones
_SYMBOLS = {
    "\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{ASTERISK OPERATOR}": "*", "\N{MULTIPLICATION SIGN}": r"\times ",
    "·": r"\cdot ", "⋅": r"\cdot ", "÷": "/", "√": r"\sqrt ", "±": r"\pm ", "°": r"^\circ ",
    "π": r"\pi ", "θ": r"\theta ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ",
    "\N{UNION}": r"\cup ", "∈": r"\in ", "\u00a0": " ", "\u2009": " ", "\u202f": " ",
}  # fmt: skip
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True))
_FULL_WIDTH = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_SUPERSCRIPT_RUN = re.compile(f"[{''.join(_SUPERSCRIPTS)}]+")
# In this order: earlier lines make what later ones expect.
_REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:left|right|displaystyle|limits|[bB]ig[lr]?|q?quad)(?![A-Za-z])|\\,(?!\d{3}(?!\d))|\\[!;: ]|~", " "),
        (r"\\(?:d|t|c)frac(?![A-Za-z])", r"\\frac"),
        (r"\\(?:leq|leqslant|leqq)(?![A-Za-z])|<=", r"\\le "),
        (r"\\(?:geq|geqslant|geqq)(?![A-Za-z])|>=", r"\\ge "),
        (r"\\neq(?![A-Za-z])|!=", r"\\ne "),
        (r"\\lt(?![A-Za-z])", "<"),
        (r"\\gt(?![A-Za-z])", ">"),
        (r"\\(?:ast|star)(?![A-Za-z])", "*"),
        (r"\\l?vert(?![A-Za-z])|\\rvert(?![A-Za-z])", "|"),
        (r"\\(?:text|mathrm|mbox|textrm|textbf|mathbf)\s*\{\s*,?\s*(and|or)\s*\}", r" \1 "),
        (r"\\(?:mathrm|mbox|textrm|textbf|mathbf|operatorname)(?![A-Za-z])", r"\\text"),
        (r"\\%|\\text\s*\{\s*percent\s*\}|(?<![A-Za-z])percent(?![A-Za-z])", "%"),
        (r"\\\$", "$"),
        (r"(?<=\d)\{,\}(?=\d{3}(?!\d))", ","),
        (r"\*\*", "^"),
        (r"(?<![\\A-Za-z])(sqrt|pi|sin|cos|tan|log|ln|exp)(?![A-Za-z])", r"\\\1 "),
        (r"(?<![\\A-Za-z])(?:infinity|inf|oo)(?![A-Za-z])", r"\\infty "),
        (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"\\sqrt\s*(\d+(?:\.\d+)?|[A-Za-z])", r"\\sqrt{\1}"),
        (r"\\frac\s*(\d)\s*(\d)(?!\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*(\{[^{}]*\})\s*(\d)(?!\d)", r"\\frac\1{\2}"),
        (r"\\frac\s*(\d)\s*(\{[^{}]*\})", r"\\frac{\1}\2"),
        (r"\^\s*\\circ(?![A-Za-z])|\^\s*\{\s*\\circ\s*\}|\\degree(?![A-Za-z])", r"°"),
        (r"\^\s*\(([^()]*)\)", r"^{\1}"),
        (r"\^\s*(-?\d+(?:\.\d+)?|-?[A-Za-z])", r"^{\1}"),
        (r"_\s*(\d+|[A-Za-z])", r"_{\1}"),
        (r"(\\log_\{\w+\}) ?(\d+(?:\.\d+)?|[A-Za-z])(?![\w\\({.^])", r"\1{\2}"),
    )
)  # fmt: skip


class Unreadable(Exception):
    """The text is no mathematics that can be read for certain. Never leaves this package."""


def tidy(text: str) -> str:
    """The answer in one notation: LaTeX with bare operators, ° for degrees.

    Raises:
        Unreadable: it is empty, too long, or has characters that are not known here.
    """
    if len(text) > MAX_CHARACTERS:
        raise Unreadable
    text = "".join(_FULL_WIDTH.get(character, character) for character in text)
    text = _SUPERSCRIPT_RUN.sub(lambda run: f"^{{{''.join(_SUPERSCRIPTS[c] for c in run[0])}}}", text)
    text = "".join(_SYMBOLS.get(character, character) for character in text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = " ".join(text.split())
    if not text or not text.replace("°", "").isascii() or not text.isprintable():
        raise Unreadable
    return text
