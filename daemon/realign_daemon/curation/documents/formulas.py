r"""Formula: mathematics in running text, told by LaTeX's delimiters or by many mathematical signs."""

from __future__ import annotations

import re

MIN_SIGNS = 3  # prose has one or two, in a product or a temperature below zero
# Longer than any formula, so that an unmatched delimiter costs no walk to the end of the text.
_DELIMITED = re.compile(
    r"""
    \$\$.{1,2000}?\$\$ | \\\(.{1,2000}?\\\) | \\\[.{1,2000}?\\\]
    | \\begin\{(?P<environment>equation|align|gather|multline|eqnarray|math|displaymath)(?P<star>\*?)\}
      .{1,2000}?\\end\{(?P=environment)(?P=star)\}
    | (?<![\\$\w])\$(?![\s$])(?P<inline>[^$]{1,200})(?<!\s)\$(?![\w$])
    """,
    re.VERBOSE | re.DOTALL,
)
# Between single dollars, which amounts of money have, too.
_MATHEMATICAL = re.compile(r"[\\^_={}<>+*/]|^[A-Za-z]'?$")
# Plus-minus, times and division; the blocks of mathematical operators, symbols and alphabets.
_SIGN = re.compile(r"[\u00b1\u00d7\u00f7\u2200-\u22ff\u27c0-\u27ef\u2980-\u2aff\U0001d400-\U0001d7ff]")


def formulas_in(text: str) -> int:
    """How many formulas stand in the text; one for text without LaTeX that is full of mathematical signs."""
    delimited = sum(
        found["inline"] is None or _MATHEMATICAL.search(found["inline"]) is not None
        for found in (_DELIMITED.finditer(text) if "$" in text or "\\" in text else ())
    )
    return delimited or int(len(_SIGN.findall(text)) >= MIN_SIGNS)
