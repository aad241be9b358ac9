"""Phone numbers, told from other numbers by their form or by a word before them."""

from __future__ import annotations

import re
from typing import Final

from realign_daemon.curation.hygiene.numbers import stands_in_a_sum

INTERNATIONAL: Final = re.compile(r"(?<![\w.+/-])(?!\+\d{4}-\d\d-\d\d)\+[1-9](?:[ .()-]{0,2}\d){7,14}(?![\w/]|[.-]\d)")
NORTH_AMERICAN: Final = re.compile(
    r"(?<![\w.,+/-])(?<!\d )(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])\d{3}[ .-]\d{4}(?![\w/]|[ .-]\d)"
)
# Not 02139-4307, which is a ZIP code.
TRUNK: Final = re.compile(
    r"(?<![\w.,+/-])(?<!\d )(?!\d{5}-\d{4}\b)\(?0[1-9]\d{1,4}\)?[ /-]\d{3,8}(?:[ -]\d{2,5})?(?![\w/]|[ .-]\d)"
)
# Anything of that length: only after a word that announces it.
ANNOUNCED: Final = re.compile(r"(?<![\w.,+/-])\(?\d[\d ().-]{5,17}\d(?![\w/]|[.-]\d)")

# Not [PHONE], which stands where a number was redacted.
_WORD: Final = re.compile(
    r"(?<!\[)\b(?:phone|t[ée]l[ée]phone|t[ée]l|fax|mobile|cell|whatsapp|telefon|handy|mobil|tel[ée]fono|call me)\b"
    r"[^\w\n]{0,3}(?:(?:number|no|nr|is|at|on)\b[^\w\n]{0,3}){0,2}\Z",
    re.IGNORECASE,
)
_BOOK: Final = re.compile(r"\b(?:ISBN|ISSN|DOI|LCCN|OCLC|EAN|arXiv)\S*[ :#]*\Z", re.IGNORECASE)
_DATE: Final = re.compile(
    r"(?:1\d|20)\d\d-\d\d-\d\d\b|\d\d?\.\d\d?\.(?:1\d|20)?\d\d\b|\(?(?:1\d|20)\d\d\D{1,3}(?:1\d|20)\d\d\)?$"
)
_DECIMAL: Final = re.compile(r"\+\d+\.\d+")
# 555-0100 to 555-0199 are set aside for fiction; with an area code nobody can tell by looking.
_FICTION: Final = re.compile(r"555\D?01\d\d")
_LEAST_DIFFERENT_DIGITS: Final = 3  # own choice: 0101 1010 is binary
_CONTEXT: Final = 32
_E164_DIGITS: Final = range(8, 16)  # ITU-T E.164: 15 at most
_TRUNK_DIGITS: Final = range(9, 13)
_LOCAL_DIGITS: Final = range(7, 16)
_UNBROKEN_DIGITS: Final = 10  # own choice: +1234567 is a term more often than a number to call


def international(match: re.Match[str]) -> int | None:
    """A number that begins with + and a country code."""
    is_unbroken = match[0][1:].isdigit()
    before = match.string[max(0, match.start() - 2) : match.start()].strip(" ")[-1:]
    is_term = is_unbroken and (len(match[0]) <= _UNBROKEN_DIGITS or before.isdigit() or before in {")", "]"})
    return None if is_term or _DECIMAL.fullmatch(match[0]) else _checked(match, _E164_DIGITS)


def north_american(match: re.Match[str]) -> int | None:
    """Three, three and four digits with hyphens, dots or parentheses."""
    return _checked(match, _LOCAL_DIGITS)


def trunk(match: re.Match[str]) -> int | None:
    """A national number that begins with 0 and an area code, as in most of Europe."""
    return _checked(match, _TRUNK_DIGITS)


def announced(match: re.Match[str]) -> int | None:
    """A number after "phone" or a word like it."""
    if not _WORD.search(match.string, max(0, match.start() - _CONTEXT), match.start()) or _DATE.match(match[0]):
        return None
    return _checked(match, _LOCAL_DIGITS)


def _checked(match: re.Match[str], lengths: range) -> int | None:
    digits = re.sub(r"\D", "", match[0])
    of_a_book = _BOOK.search(match.string, max(0, match.start() - _CONTEXT), match.start())
    if len(digits) not in lengths or len(set(digits)) < _LEAST_DIFFERENT_DIGITS or of_a_book:
        return None
    return None if stands_in_a_sum(match) or _FICTION.fullmatch(match[0]) else match.end()
