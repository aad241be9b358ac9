"""The mentions: models named in a sentence, where, and in which role."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from realign_planner.model_names import series_of, size_in

_FAMILIES: Final = (
    r"(?:meta-)?(?:code|open|tiny)?-?llama|(?:code)?qwen|qwq|mistral|mixtral|ministral|codestral|devstral|mathstral|"
    r"(?:code)?gemma|deepseek|smollm|gpt-?oss|glm|kimi|minimax|phi|command-?r\+?|yi|falcon|olmoe?|granite|starcoder|"
    r"nemotron|internlm|vicuna|hermes|solar|stablelm|exaone|dbrx|pythia|gpt-?neox?|gpt-?j|bloom|opt|mpt|baichuan|aya|"
    r"zephyr|jamba|apertus|pocket(?=\s+model)"
)
_NEED_SIZE: Final = re.compile(
    r"(?:yi|falcon|granite|solar|bloom|opt|mpt|hermes|aya|glm|command|jamba|zephyr)", re.IGNORECASE
)
_NUMBER_B: Final = r"(?:\d{1,3}\s?x\s?)?\d+(?:\.\d+)?(?:-?[bmt](?![a-z0-9])|[\s-](?:billion|million|trillion)\b)"
_VARIANT: Final = (
    r"(?:instruct|chat|base|it|coder?|math|mini|small|medium|large|nemo|scout|maverick|air|next|reasoning|thinking|distill|"
    r"plus|r1|v\d(?:\.\d)?|k\d(?:\.\d)?|m\d)"
)
_BITS: Final = r"(?:\d{1,2}-?bits?|q[2-8](?:_\w+)?|(?:bf|fp|mxfp|int)\d{1,2}|awq|gptq|dwq|gguf|mlx)"
_FAMILY_NAME: Final = re.compile(
    rf"(?<![\w/.])(?:[a-z0-9][\w.-]*/)?(?:{_FAMILIES})(?![a-z])"
    rf"[\w.+-]*(?:\s\d(?:\.\d{{1,2}})?(?![\w%]|[.,]\d))?(?:\s{_VARIANT}\b)*(?:\s{_NUMBER_B})?(?:\sa\d+b\b)?"
    rf"(?:[\s-]\(?(?:{_VARIANT}|{_BITS})\b\)?)*",
    re.IGNORECASE,
)
_HUB_ID: Final = re.compile(r"(?<![\w/.~:-])[a-z0-9][\w.-]*/[a-z0-9][\w.-]*(?![\w/])", re.IGNORECASE)
_BARE_SIZE: Final = re.compile(rf"(?<![\w.$€£-]){_NUMBER_B}(?:[\s-](?:a\d+b)\b)?(?:[\s-]{_BITS}\b)?", re.IGNORECASE)
_FILE_ENDING: Final = re.compile(r"\.(?:pdf|epub|html?|md|txt|jsonl?|parquet|csv|docx?|tex|zip|toml)$", re.IGNORECASE)

MentionRole = Literal["target", "generator", "judge"]
_JUDGING: Final = re.compile(
    r"\b(?:judg(?:e[ds]?|ing)|scor(?:e[ds]?|ing)|rat(?:e[ds]?|ing)|grad(?:e[ds]?|ing)|rank(?:ed|ing)?|verif(?:y|ied)|"
    r"evaluated|judge)(?:\s+(?:it|them|answers|responses|pairs|everything))?"
    r"(?:\s+(?:by|with|using|is|be|model|through|via|a|an|the|should|will))*[\s:=]*$",
    re.IGNORECASE,
)
_GENERATING: Final = re.compile(
    r"\b(?:generat(?:e|ed|ing|or)|teacher|written|produced|distil(?:l(?:ed|ing)?)?|sampl(?:e|ed|ing))"
    r"(?:\s+(?:it|them|answers|responses|pairs|data))?"
    r"(?:\s+(?:by|with|using|from|is|be|model|via|a|an|the|should|will))*[\s:=]*$",
    re.IGNORECASE,
)
_AS_ROLE: Final = re.compile(
    r"^[\s,]*(?:as|is|be|to be)\s+(?:the\s+|a\s+|an\s+)?(?P<role>judge|grader|generator|teacher)"
    r"|^\s+(?P<noun>judge|grader|teacher|generator)\b",
    re.IGNORECASE,
)


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
