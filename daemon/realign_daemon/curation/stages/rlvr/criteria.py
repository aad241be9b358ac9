"""Criteria: which problems have one short answer that can be checked, after Big-Math (arXiv 2502.17387). Pure rules."""

from __future__ import annotations

import re
from collections.abc import Sequence

from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.verify.text import answer_type

MAX_GOLD_CHARACTERS = 200  # own choice: beyond it an answer is an essay, whatever its form
# Natural Questions' open version takes answers of so many words (arXiv 1906.00300): longer ones are put in many ways.
MAX_GOLD_WORDS = 5

_I = re.IGNORECASE
_PROOF = re.compile(
    r"\b(?:prove|disprove|(?:show|demonstrate|verify|deduce)\s+that|(?:give|write|provide|sketch)\s+a\s+(?:\w+\s+)?proof)\b",
    _I,
)
_FIGURE = re.compile(
    r"!\[[^\]]*\]\(|\[asy\]|\\includegraphics|"
    r"\b(?:figures?|diagrams?|pictures?|images?|drawings?|charts?|plots?)\s+(?:\d|above|below|shows?|shown)|"
    r"\b(?:in|from|to|on|see|use|using)\s+the\s+(?:\w+\s+)?(?:figure|diagram|picture|image|drawing|chart)\b|"
    r"\b(?:shown|pictured|illustrated|drawn|marked|graphed)\s+(?:above|below|here|at\s+(?:the\s+)?(?:left|right))\b|"
    r"\b(?:graph|table|map)\s+(?:above|below|shown\s+(?:above|below|here))\b|\b(?:above|following|given)\s+(?:graph|table|map|figure|diagram)\b",
    _I,
)
_LINK = re.compile(r"https?://|\bwww\.", _I)
_CHOICE = re.compile(
    r"\b(?:which|what|one|any|all|none)\s+of\s+(?:the\s+following|these|the\s+(?:options|choices|statements)\s+below)\b|"
    r"\b(?:choose|select|pick)\s+(?:the|one)\s+(?:correct|best|right)\b",
    _I,
)
_OPTION = re.compile(r"(?:^|[\s(])\(?([A-H])[).:]\s*\S|\\text(?:bf)?\{\s*\(?([A-H])\)?")
_PART = re.compile(r"(?:^|[\s;.?])(?:\(([a-h]|i{1,3}|iv|\d)\)|([a-h]|i{1,3}|iv|\d)\))\s+[A-Za-z$\\]", re.MULTILINE)
_NAMED_PART = re.compile(r"\bpart\s+\(?(?:a|b|1|2|i|ii)\)?(?![a-z])", _I)
_OPEN = re.compile(
    r"^\W*(?:please\s+)?(?:explain|describe|discuss|why\b|compare|comment|outline|summari[sz]e|"
    r"(?:sketch|draw|graph|plot)\s+(?:the|an?\s+(?:graph|curve|diagram|line|picture))\b|give\s+(?:an?\s+)?(?:example|reason)|suggest|imagine|design|what\s+do\s+you\s+think|in\s+your\s+(?:own\s+)?\w+)|"
    r"\b(?:explain|justify)\s+(?:why|how|your|the|in)\b|\bgive\s+an\s+example\b",
    _I,
)
_NO_ANSWER = re.compile(
    r"\b(?:it|that|this)\s+(?:all\s+)?depends\b|\bdepends\s+on\b|\banswers?\s+(?:may|will|can)\s+vary\b|^\W*varies\b|"
    r"\bsee\s+(?:the\s+)?(?:solution|explanation|proof|above|below|text)\b|\bopen[- ]ended\b|\bproof\b|\bq\.?e\.?d\b|"
    r"^\W*(?:n/?a|none|null|unknown|tbd|no\s+answer)\W*$",
    _I,
)
_COIN_TOSS = frozenset({"yes", "no", "true", "false"})

_QUESTION_FLAWS: Sequence[tuple[re.Pattern[str], str]] = (
    (_PROOF, "the problem asks for a proof"),
    (_FIGURE, "the problem needs a figure that is not there"),
    (_LINK, "the problem needs a page that is not there"),
)


def flaw_of_question(question: str) -> str:
    """Why the problem has no single short answer; empty when nothing speaks against it."""
    found = next((flaw for pattern, flaw in _QUESTION_FLAWS if pattern.search(question)), "")
    if found:
        return found
    options = {first or second for first, second in _OPTION.findall(question)}
    if _CHOICE.search(question):
        return "" if len(options) > 1 else "the problem is a choice whose options are not there"
    if question.count("?") > 1 or _parts(question) > 1:
        return "the problem has several parts"
    return "the problem is open-ended" if _OPEN.search(question) else ""


def flaw_of_gold(gold: str) -> str:
    """Why the answer cannot stand for being right; empty when nothing speaks against it."""
    if not gold.strip():
        return "the problem has no answer"
    if _NO_ANSWER.search(gold):
        return "the answer commits to nothing"
    if normalise(gold).strip(" .!") in _COIN_TOSS:
        return "the answer is yes or no, which guessing gets right half the time"
    if len(gold) > MAX_GOLD_CHARACTERS or (answer_type(gold) == "text" and len(gold.split()) > MAX_GOLD_WORDS):
        return "the answer is too long to be put in one way only"
    return ""


def _parts(question: str) -> int:
    """How many parts the problem announces."""
    marks = {bracketed or bare for bracketed, bare in _PART.findall(question)}
    return max(len(marks), len({named.lower() for named in _NAMED_PART.findall(question)}))
