"""A model's name taken apart: parameters, active parameters and bits; and the model names in a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from realign_planner.catalogue import NAMED_SIZES, SERIES, Series

QUANTISED_BITS: Final = frozenset({2, 3, 4, 5, 6, 8})
KNOWN_BITS: Final = QUANTISED_BITS | {16, 32}

_UNIT_B: Final = {"b": 1.0, "bn": 1.0, "billion": 1.0, "m": 1e-3, "million": 1e-3, "t": 1e3, "trillion": 1e3}
_SIZE: Final = re.compile(
    r"(?<![\d.])(?:(?P<experts>\d{1,3})\s?x\s?)?(?P<number>\d+(?:\.\d+)?)[\s-]?(?P<unit>b|bn|billion|m|million|t|trillion)(?![a-z0-9])"
)
_ACTIVE: Final = re.compile(r"(?<![a-z0-9])a(?P<number>\d+(?:\.\d+)?)b(?![a-z0-9])")
_PLAIN_BITS: Final = re.compile(
    r"(?<![a-z0-9.])(?:(?P<bits>\d{1,2})[\s-]?bits?(?![a-z])|(?:mxfp|nvfp|fp|bf|int)-?(?P<format>4|8|16|32)(?![0-9]))"
)
_NAME_BITS: Final = re.compile(r"(?<![a-z0-9])(?:q(?P<q>[2-8])(?:_[a-z0-9_]+)?|f(?P<f>16|32)|w(?P<w>[48])a\d+|(?P<four>awq|gptq))(?![a-z0-9])")


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

    The number in the name counts ("7B" is 7), except for names that the catalogue lists as telling none or less than the total. Of
    an unlisted "NxMB" the total is taken as N times M, an upper bound, and two experts as active.
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
    """Bits a weight that a sentence states ("in 4 bit", "int8", "bf16"), or None. "Q4" is not enough: it may be a quarter."""
    for found in _PLAIN_BITS.finditer(text.lower().replace("_", "-")):
        bits = int(found["bits"] or found["format"])
        if bits in KNOWN_BITS:
            return bits
    return None


# --- names in a sentence ---

_FAMILIES: Final = (
    r"(?:meta-)?(?:code|open|tiny)?-?llama|(?:code)?qwen|qwq|mistral|mixtral|ministral|codestral|devstral|mathstral|(?:code)?gemma|"
    r"deepseek|smollm|gpt-?oss|glm|kimi|minimax|phi|command-?r\+?|yi|falcon|olmoe?|granite|starcoder|nemotron|internlm|vicuna|"
    r"hermes|solar|stablelm|exaone|dbrx|pythia|gpt-?neox?|gpt-?j|bloom|opt|mpt|baichuan|aya|zephyr|jamba|apertus|pocket(?=\s+model)"
)
_NEED_SIZE: Final = re.compile(r"(?:yi|falcon|granite|solar|bloom|opt|mpt|hermes|aya|glm|command|jamba|zephyr)", re.IGNORECASE)
_NUMBER_B: Final = r"(?:\d{1,3}\s?x\s?)?\d+(?:\.\d+)?(?:-?[bmt](?![a-z0-9])|[\s-](?:billion|million|trillion)\b)"
_VARIANT: Final = r"(?:instruct|chat|base|it|coder?|math|mini|small|medium|large|nemo|scout|maverick|air|next|reasoning|thinking|distill|plus|r1|v\d(?:\.\d)?|k\d(?:\.\d)?|m\d)"
_BITS: Final = r"(?:\d{1,2}-?bits?|q[2-8](?:_\w+)?|(?:bf|fp|mxfp|int)\d{1,2}|awq|gptq|dwq|gguf|mlx)"
_FAMILY_NAME: Final = re.compile(
    rf"(?<![\w/.])(?:[a-z0-9][\w.-]*/)?(?:{_FAMILIES})(?![a-z])"
    rf"[\w.+-]*(?:\s\d(?:\.\d{{1,2}})?(?![\w%.,]))?(?:\s{_VARIANT}\b)*(?:\s{_NUMBER_B})?(?:\sa\d+b\b)?(?:[\s-]\(?(?:{_VARIANT}|{_BITS})\b\)?)*",
    re.IGNORECASE,
)
_HUB_ID: Final = re.compile(r"(?<![\w/.~:-])[a-z0-9][\w.-]*/[a-z0-9][\w.-]*(?![\w/])", re.IGNORECASE)
_BARE_SIZE: Final = re.compile(rf"(?<![\w.$€£-]){_NUMBER_B}(?:[\s-](?:a\d+b)\b)?(?:[\s-]{_BITS}\b)?", re.IGNORECASE)
_FILE_ENDING: Final = re.compile(r"\.(?:pdf|epub|html?|md|txt|jsonl?|parquet|csv|docx?|tex|zip|toml)$", re.IGNORECASE)

MentionRole = Literal["target", "generator", "judge"]
_JUDGING: Final = re.compile(
    r"(?:judg(?:e[ds]?|ing)|scor(?:e[ds]?|ing)|rat(?:e[ds]?|ing)|grad(?:e[ds]?|ing)|rank(?:ed|ing)?|verif(?:y|ied)|evaluated|judge)"
    r"(?:\s+(?:it|them|answers|responses|pairs|everything))?(?:\s+(?:by|with|using|is|be|model|through|via|a|an|the|should|will))*[\s:=]*$",
    re.IGNORECASE,
)
_GENERATING: Final = re.compile(
    r"(?:generat(?:e|ed|ing|or)|teacher|written|produced|distil(?:l(?:ed|ing)?)?|sampl(?:e|ed|ing))"
    r"(?:\s+(?:it|them|answers|responses|pairs|data))?(?:\s+(?:by|with|using|from|is|be|model|via|a|an|the|should|will))*[\s:=]*$",
    re.IGNORECASE,
)
_AS_ROLE: Final = re.compile(r"^[\s,]*(?:as|is|be|to be)\s+(?:the\s+|a\s+|an\s+)?(?P<role>judge|grader|generator|teacher)|^\s+(?P<noun>judge|grader|teacher|generator)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A model named in a sentence, where, and the part that the words around it give it."""

    name: str
    start: int
    end: int
    role: MentionRole


def mentions(text: str) -> tuple[Mention, ...]:
    """The models named in a sentence, in order. Paths and file names are not models; a bare "70B" is."""
    taken: list[tuple[int, int, str]] = []
    for pattern in (_HUB_ID, _FAMILY_NAME, _BARE_SIZE):
        for found in pattern.finditer(text):
            name, start = found.group().rstrip(" .,;:(-"), found.start()
            end = start + len(name)
            overlaps = any(start < other_end and other_start < end for other_start, other_end, _ in taken)
            if not overlaps and _names_a_model(name, pattern):
                taken.append((start, end, name))
    return tuple(
        Mention(name=re.sub(r"\s+", " ", name), start=start, end=end, role=_role(text, start, end))
        for start, end, name in sorted(taken)
    )


def _names_a_model(name: str, pattern: re.Pattern[str]) -> bool:
    if _FILE_ENDING.search(name):
        return False
    if pattern is _BARE_SIZE:
        return not re.search(r"[mt]\b", name.lower().split("-", 1)[0])
    sized = size_in(name) is not None
    if pattern is _HUB_ID:
        return sized and (series_of(name) is not None or re.search(r"\d[bm](?![a-z0-9])", name.lower()) is not None)
    return sized or (series_of(name) is not None and not _NEED_SIZE.match(name))


def _role(text: str, start: int, end: int) -> MentionRole:
    before, after = text[max(0, start - 60) : start], text[end : end + 30]
    named = _AS_ROLE.match(after)
    word = (named["role"] or named["noun"]).lower() if named else ""
    if word in {"judge", "grader"} or (not word and _JUDGING.search(before)):
        return "judge"
    return "generator" if word or _GENERATING.search(before) else "target"
