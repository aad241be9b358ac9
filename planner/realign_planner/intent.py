"""The intent of a request: which data type it asks for, for which model, and how sure that is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import cache
from typing import Final

from realign_planner.data_types import DATA_TYPES, SKILLS, TITLES, DataType
from realign_planner.intent_grammar import (
    AFTER_NEGATION,
    CLAUSE_END,
    CORRECT,
    DIRECT_NEGATION,
    DONE,
    FAULT,
    FILLER,
    FORGIVEN,
    LIST_JOINT,
    OUTDONE,
    TOPIC_AFTER,
    TOPIC_END,
    TOPIC_NEGATION,
    UNDECIDED,
    VOCABULARY,
    WISH_NEGATION,
)
from realign_planner.intent_rules import RULES, Rule
from realign_planner.mentions import Mention, mentions
from realign_planner.model_names import bits_stated

CONFIDENCE_BOUND: Final = 0.5  # below it, ask where somebody can be asked (own choice)
DEFAULT_TYPE: Final[DataType] = "sft"

# Own choices, set on the phrasings in tests/unit/planner.
_EXTRA_FRACTION: Final = 0.3  # what a second and further match of a type adds, so that one clear word beats three hints
_DOUBT: Final = 2.5  # evidence at which a lone hint makes half sure
_SHARPNESS: Final = 4  # how fast a lead turns into certainty
_CLEAR_MARGIN_FRACTION: Final = 0.1  # lead over the next type, below which the default is taken
_RULED_OUT: Final = 1.5  # a negated match takes away more than an affirmed one gives
_OPEN_FACTOR: Final = 0.5  # confidence left when the user says the choice is open
_NO_EVIDENCE: Final = 0.25  # confidence in the default without any evidence: one of four
_TYPO_SIMILARITY: Final = 0.84
_LONG_WORD: Final = re.compile(r"\b[a-z]{6,}\b")

_PATH: Final = re.compile(
    r"(?<![\w/])(?:\w+://\S+|[~.]{0,2}/[^\s,;]+|"
    r"[^\s,;'\"]+\.(?:pdf|epub|html?|md|txt|jsonl?|parquet|csv|docx?|tex|zip)\b)",
    re.IGNORECASE,
)
_COUNT: Final = re.compile(
    r"(?<![\w.$-])(?P<number>\d{1,3}(?:[, ]\d{3})+|\d+(?:\.\d+)?)\s?(?P<unit>k|thousand|million)?\s+"
    r"(?:[a-z/-]+\s+){0,3}?(?:pairs|triples|examples|rows|records|samples|problems|questions|traces|conversations|"
    r"dialogues|exchanges|demonstrations|instructions|items|entries|summaries|comparisons)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a request asks for. Alternatives are the other types with any evidence, likeliest first."""

    data_type: DataType
    skill: str
    confidence: float  # 0..1
    alternatives: tuple[tuple[DataType, float], ...]
    reasons: tuple[str, ...]
    model_name: str | None = None
    generator_name: str | None = None  # named as such beside another model
    judge_name: str | None = None
    bits: int | None = None
    count: int | None = None

    @property
    def is_ambiguous(self) -> bool:
        """Whether a person should be asked before work starts."""
        return self.confidence < CONFIDENCE_BOUND

    def as_stated(self, data_type: DataType) -> Intent:
        """The same request with the data type stated outright."""
        reason = f"{TITLES[data_type]} was asked for by option."
        return replace(
            self, data_type=data_type, skill=SKILLS[data_type], confidence=1.0, alternatives=(), reasons=(reason,)
        )


@dataclass(frozen=True, slots=True)
class _Match:
    rule: Rule
    start: int
    end: int
    text: str


def detect(text: str) -> Intent:
    """The intent of a request in plain words.

    Without evidence, or with two types nearly level, the data type is SFT with a low confidence.
    """
    named = mentions(text)
    words = _prepared(text, named)
    matches = _still_asked(words, _matches(words))
    negated = _negated(words, matches)
    affirmed = [match for match in matches if match not in negated]
    scores: dict[DataType, float] = {data_type: _score(data_type, affirmed, negated) for data_type in DATA_TYPES}
    order = sorted(DATA_TYPES, key=lambda data_type: (-scores[data_type], data_type != DEFAULT_TYPE, data_type))
    data_type, confidence = _decision(scores, order)
    if re.search(UNDECIDED, words):
        confidence *= _OPEN_FACTOR
    total = sum(scores.values()) + _DOUBT
    roles = _roles(named)
    return Intent(
        data_type=data_type,
        skill=SKILLS[data_type],
        confidence=round(confidence, 3),
        alternatives=tuple(
            (other, round(scores[other] / total, 3)) for other in order if other != data_type and scores[other] > 0
        ),
        reasons=_reasons(data_type, affirmed, negated),
        model_name=roles.get("target"),
        generator_name=roles.get("generator"),
        judge_name=roles.get("judge"),
        bits=bits_stated(text),
        count=_count(text),
    )


def _decision(scores: dict[DataType, float], order: list[DataType]) -> tuple[DataType, float]:
    first, second = scores[order[0]], scores[order[1]]
    if first <= 0:
        return DEFAULT_TYPE, _NO_EVIDENCE
    margin = (first - second) / first
    confidence = first / (first + _DOUBT) * first**_SHARPNESS / (first**_SHARPNESS + second**_SHARPNESS)
    if margin < _CLEAR_MARGIN_FRACTION and order[0] != DEFAULT_TYPE:
        return DEFAULT_TYPE, min(confidence, _NO_EVIDENCE)
    return order[0], confidence


def _score(data_type: DataType, affirmed: Iterable[_Match], negated: Iterable[_Match]) -> float:
    seen = {match.text: match.rule.weight for match in affirmed if match.rule.data_type == data_type}
    weights = sorted(seen.values(), reverse=True)
    against = max((match.rule.weight for match in negated if match.rule.data_type == data_type), default=0.0)
    return max(0.0, sum(weights[:1]) + _EXTRA_FRACTION * sum(weights[1:]) - _RULED_OUT * against)


def _prepared(text: str, named: Iterable[Mention]) -> str:
    """The words to look at: lower case, no models, no paths, plain quotes and blanks, mistyped key words repaired."""
    kept = list(text)
    spans = [(mention.start, mention.end) for mention in named] + [found.span() for found in _PATH.finditer(text)]
    for start, end in spans:
        kept[start:end] = " " * (end - start)
    plain = "".join(kept).lower().translate(str.maketrans("\u2019\u2018`\u201c\u201d", "'''\"\""))
    plain = re.sub(r"\s[-\u2013\u2014]+\s|\u2014", " ; ", plain)
    plain = re.sub(r"[-_\u2010-\u2013\"]", " ", plain).replace("/", " / ")
    plain = _LONG_WORD.sub(lambda found: _repaired(found.group()), plain)
    return re.sub(r"[ \t]+", " ", plain).strip()


@cache
def _repaired(word: str) -> str:
    if word in VOCABULARY or word in CORRECT:
        return word
    near = [known for known in VOCABULARY if known[0] == word[0]]
    best = max(near, key=lambda known: (SequenceMatcher(None, word, known).ratio(), known), default=word)
    return best if SequenceMatcher(None, word, best).ratio() >= _TYPO_SIMILARITY else word


def _matches(words: str) -> list[_Match]:
    """The rules' matches that do not overlap: heavier before lighter, longer before shorter, in the text's order."""
    found = [
        _Match(rule, match.start(), match.end(), match.group().strip())
        for rule in RULES
        for match in re.finditer(rule.pattern, words)
        if match.group().strip()
    ]
    undecided = [match.span() for match in re.finditer(UNDECIDED, words)]
    taken: list[_Match] = []
    for match in sorted(found, key=lambda match: (-match.rule.weight, match.start - match.end, match.start)):
        others = [(other.start, other.end) for other in taken] + undecided
        if not any(match.start < end and start < match.end for start, end in others):
            taken.append(match)
    return sorted((match for match in taken if match.rule.data_type), key=lambda match: match.start)


def _still_asked(words: str, matches: list[_Match]) -> list[_Match]:
    """The matches less those about a step already done, unless the request speaks of nothing else."""
    done = [found.span() for found in re.finditer(DONE, words)]
    kept = [match for match in matches if not (match.rule.negatable and _within(match, done))]
    return kept or matches


def _negated(words: str, matches: list[_Match]) -> list[_Match]:
    scopes = [_clause(words, found.end(), CLAUSE_END) for found in re.finditer(WISH_NEGATION, words)]
    topics = [_clause(words, found.end(), TOPIC_END) for found in re.finditer(TOPIC_NEGATION, words)]
    direct = re.compile(rf"(?:{DIRECT_NEGATION}|{OUTDONE})(?: {FILLER})* ?$")
    negated: list[_Match] = []
    for match in matches:
        before, after = words[: match.start], words[match.end :]
        forgiven = re.search(FAULT, match.text) and re.search(FORGIVEN, after)
        if _within(match, topics) or re.search(TOPIC_AFTER, after) or forgiven:
            negated.append(match)
            continue
        if not match.rule.negatable:
            continue
        in_scope = _within(match, scopes)
        follows = bool(negated) and re.search(LIST_JOINT, words[negated[-1].end : match.start]) is not None
        if in_scope or follows or direct.search(before) or re.search(AFTER_NEGATION, after):
            negated.append(match)
    return negated


def _within(match: _Match, spans: Iterable[tuple[int, int]]) -> bool:
    return any(start <= match.start < end for start, end in spans)


def _clause(words: str, start: int, ending: str) -> tuple[int, int]:
    end = re.search(ending, words[start:])
    return start, len(words) if end is None else start + end.start()


def _roles(named: tuple[Mention, ...]) -> dict[str, str]:
    """The model of each role. A lone model is the target, whatever it is said to do."""
    if len({mention.name for mention in named}) == 1:
        return {"target": named[0].name}
    roles: dict[str, str] = {}
    for mention in named:
        roles.setdefault(mention.role, mention.name)
    if roles and "target" not in roles:
        roles["target"] = named[0].name
    return roles


def _count(text: str) -> int | None:
    found = _COUNT.search(text)
    if found is None:
        return None
    factor = {"k": 1e3, "thousand": 1e3, "million": 1e6}.get((found["unit"] or "").lower(), 1)
    count = round(float(re.sub(r"[, ]", "", found["number"])) * factor)
    return count if count > 0 else None


def _reasons(data_type: DataType, affirmed: Iterable[_Match], negated: Iterable[_Match]) -> tuple[str, ...]:
    said = list(dict.fromkeys(match.text for match in affirmed if match.rule.data_type == data_type))
    quoted = ", ".join(f'"{phrase}"' for phrase in said)
    first = f"{TITLES[data_type]}: the request says {quoted}." if said else f"{TITLES[data_type]} is the default."
    ruled_out = dict.fromkeys((match.text, match.rule.data_type) for match in negated)
    return (first, *(f'"{phrase}" is ruled out by the words around it.' for phrase, _ in ruled_out))
