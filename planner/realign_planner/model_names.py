"""A model's name taken apart: its series, parameters, active parameters and bits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from realign_planner.catalogue import NAMED_SIZES, SERIES, Series

QUANTISED_BITS: Final = frozenset({2, 3, 4, 5, 6, 8})
KNOWN_BITS: Final = QUANTISED_BITS | {16, 32}

_UNIT_B: Final = {"b": 1.0, "bn": 1.0, "billion": 1.0, "m": 1e-3, "million": 1e-3, "t": 1e3, "trillion": 1e3}
_SIZE: Final = re.compile(
    r"(?<![\d.])(?:(?P<experts>\d{1,3})\s?x\s?)?(?P<number>\d+(?:\.\d+)?)[\s-]?"
    r"(?P<unit>b|bn|billion|m|million|t|trillion)(?![a-z0-9])"
)
_ACTIVE: Final = re.compile(r"(?<![a-z0-9])a(?P<number>\d+(?:\.\d+)?)b(?![a-z0-9])")
_PLAIN_BITS: Final = re.compile(
    r"(?<![a-z0-9.])(?:(?P<bits>\d{1,2})[\s-]?bits?(?![a-z])|(?:mxfp|nvfp|fp|bf|int)-?(?P<format>4|8|16|32)(?![0-9]))"
)
_NAME_BITS: Final = re.compile(
    r"(?<![a-z0-9])(?:q(?P<q>[2-8])(?:_[a-z0-9_]+)?|f(?P<f>16|32)|w(?P<w>[48])a\d+|(?P<four>awq|gptq))(?![a-z0-9])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSize:
    """Parameters in 1e9, as a name tells them. `experts` says that the name showed a mixture of experts."""

    total_b: float
    active_b: float
    experts: bool


def normalised(name: str) -> str:
    """The last part of a name or path in lower case, with hyphens for blanks and underscores."""
    return re.sub(r"[\s_]+", "-", name.strip().rstrip("/").rsplit("/", 1)[-1].lower())


def series_of(name: str) -> Series | None:
    """The series that a name belongs to, or None."""
    key = normalised(name)
    return next((series for series in SERIES if re.search(series.pattern, key)), None)


def size_in(name: str) -> NamedSize | None:
    """The parameters that a name tells, or None.

    The number in the name counts ("7B" is 7), except for names that the catalogue lists as telling none or less than
    the total. Of an unlisted "NxMB" the total is taken as N times M, an upper bound, and two experts as active.
    """
    key = normalised(name)
    for pattern, total_b, active_b in NAMED_SIZES:
        if re.search(pattern, key):
            return NamedSize(total_b=total_b, active_b=active_b, experts=active_b < total_b)
    active = _ACTIVE.search(key)
    found = _SIZE.search(_ACTIVE.sub(" ", key))
    if found is None:
        return None
    size_b = float(found["number"]) * _UNIT_B[found["unit"]]
    if found["experts"] is not None:
        return NamedSize(total_b=int(found["experts"]) * size_b, active_b=2 * size_b, experts=True)
    return NamedSize(total_b=size_b, active_b=float(active["number"]) if active else size_b, experts=active is not None)


def bits_in(name: str) -> int | None:
    """Bits a weight that a model name tells ("-4bit", "Q4_K_M", "bf16", "mxfp4", "AWQ"), or None."""
    stated = bits_stated(name)
    if stated is not None:
        return stated
    found = _NAME_BITS.search(normalised(name).replace("-k-", "_k_"))
    if found is None:
        return None
    return 4 if found["four"] else int(found["q"] or found["f"] or found["w"])


def bits_stated(text: str) -> int | None:
    """Bits a weight that a sentence states ("in 4 bit", "int8", "bf16"), or None. "Q4" may be a quarter: not enough."""
    for found in _PLAIN_BITS.finditer(text.lower().replace("_", "-")):
        bits = int(found["bits"] or found["format"])
        if bits in KNOWN_BITS:
            return bits
    return None
