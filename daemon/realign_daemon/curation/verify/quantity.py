"""Quantity: a number that is written out, exactly, with its unit. Pure; standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 400  # a longer numeral is no answer to a problem; Python refuses to read one beyond 4,300
MAX_EXPONENT = 400
_INTEGER = r"(?:\d{1,3}(?:(?:,|\\,)\d{3})+|\d+)"
_DECIMAL = re.compile(rf"(?P<whole>{_INTEGER})?(?:\.(?P<places>\d*)(?:\\overline\{{(?P<repeating>\d+)\}})?)?")
_SLASH = re.compile(rf"(?:(?P<whole>\d+) )?(?P<over>{_INTEGER}) ?/ ?(?P<under>{_INTEGER})")
_FRAC = re.compile(
    rf"(?P<whole>\d+)? ?\\frac ?\{{ ?(?P<sign>[-+]?) ?(?P<over>{_INTEGER}) ?\}} ?\{{ ?(?P<under>{_INTEGER}) ?\}}"
)
_SCIENTIFIC = re.compile(r"(?P<digits>.+?)(?:[eE](?P<e>[-+]?\d+)| ?(?:\\times|\\cdot|\*) ?10\^\{(?P<ten>[-+]?\d+)\})")
# A word of three letters or more is no product of variables; shorter units are listed.
_UNIT = re.compile(
    r"(?P<number>.*[\d.})])\s*(?P<unit>°\s*[CF]?|"
    r"\\text ?\{[^{}]*\}(?:\^\{\d\})?|"
    r"(?:mm|cm|km|ft|in|yd|mi|kg|mg|lb|oz|ml|mL|hr|mph|ms|ns|sq|cu|[A-Za-z]{3,})(?:\^\{\d\})?"
    r"(?: [A-Za-z]+(?:\^\{\d\})?)*)"
)
_CASED = 3  # "Mm" and "mm" differ; longer units are words


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """An exact number. `places` is the number of decimals it is written with, None when it is no plain decimal."""

    value: Fraction
    places: int | None
    unit: str

    @property
    def significant(self) -> int:
        """How many digits its decimal notation commits to."""
        scaled = abs(self.value) * 10 ** (self.places or 0)
        return len(str(int(scaled)))


def read_quantity(text: str) -> Quantity | None:
    """The number that `text` (tidy notation) is; None when it is anything else."""
    text, unit = _without_unit(text.strip())
    text = _without_braces(text)
    negative = text.startswith("-")
    text = text.removeprefix("-").removeprefix("+").strip()
    is_percent = text.endswith("%")
    text = text.removesuffix("%").strip()
    dollars = text.startswith("$")
    text = text.removeprefix("$").strip()
    if sum(character.isdigit() for character in text) > MAX_DIGITS or (dollars and unit):
        return None
    read = _scientific(text) or _plain(text) or _fraction(text)
    if read is None:
        return None
    value, places = read
    value = value / 100 if is_percent else value
    return Quantity(
        value=-value if negative else value,
        places=None if is_percent else places,
        unit="$" if dollars else unit,
    )


def _without_unit(text: str) -> tuple[str, str]:
    found = _UNIT.fullmatch(text)
    if found is None:
        return text, ""
    unit = re.sub(r" ?\^ ?", "^", " ".join(re.sub(r"\\text|[{}]", " ", found["unit"]).split()))
    unit = unit if len(unit) <= _CASED else unit.casefold().removesuffix("s")
    return found["number"], "$" if unit == "dollar" else unit


def _without_braces(text: str) -> str:
    while (text.startswith("{") and text.endswith("}")) or (text.startswith("(") and text.endswith(")")):
        inside = text[1:-1].strip()
        if any(character in inside for character in "{}(),"):
            break  # (1,234) is a pair
        text = inside
    return text


def _plain(text: str) -> tuple[Fraction, int | None] | None:
    found = _DECIMAL.fullmatch(text)
    if found is None or not (found["whole"] or found["places"] or found["repeating"]):
        return None
    places, repeating = found["places"] or "", found["repeating"] or ""
    value = Fraction(_integer(found["whole"] or "0")) + Fraction(int(places or "0"), 10 ** len(places))
    if repeating:
        value += Fraction(int(repeating), (10 ** len(repeating) - 1) * 10 ** len(places))
        return value, None
    return value, len(places) or None


def _fraction(text: str) -> tuple[Fraction, None] | None:
    found = _FRAC.fullmatch(text) or _SLASH.fullmatch(text)
    if found is None or _integer(found["under"]) == 0:
        return None
    sign = found.groupdict().get("sign") or ""
    part = Fraction(_integer(found["over"]), _integer(found["under"]))
    if found["whole"] and (part >= 1 or sign):
        return None  # no mixed number
    return (int(found["whole"] or "0") + (-part if sign == "-" else part)), None


def _scientific(text: str) -> tuple[Fraction, None] | None:
    found = _SCIENTIFIC.fullmatch(text)
    digits = _plain(found["digits"]) if found else None
    if found is None or digits is None:
        return None
    exponent = int(found["e"] or found["ten"])
    return (digits[0] * Fraction(10) ** exponent, None) if abs(exponent) <= MAX_EXPONENT else None


def _integer(text: str) -> int:
    return int(text.replace("\\,", "").replace(",", ""))
