"""Text: golds that are words or the letter of a choice, and what kind of answer a gold is. Standard library only."""

from __future__ import annotations

import json
import re
import string
import unicodedata
from typing import Literal

from realign_daemon.curation.verify.final import final_answer
from realign_daemon.curation.verify.quantity import Quantity
from realign_daemon.curation.verify.shape import read_shape

AnswerType = Literal["number", "expression", "choice", "text", "code", "unreadable"]

CHOICES = string.ascii_uppercase[:10]
_CHOICE = re.compile(rf"(?:(?:option|choice)\s+)?[(\[]?(?P<letter>[{CHOICES}])[)\]]?[.:)]?", re.IGNORECASE)
_TEXT_COMMAND = re.compile(r"\\(?:text|textbf|textit|mathrm|mbox|operatorname)\s*\{([^{}]*)\}")
# Not the signs that are part of a name: "C" is not "C++".
_OUTER = ".,;:!?\"'()[]\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
_ARTICLES = frozenset({"a", "an", "the"})
# What words do not have, the commands of _TEXT_COMMAND apart: markup of a formula, or a relation without its end.
_BROKEN_FORMULA = re.compile(r"\\[A-Za-z]|[{}^]|[=<>]$")
_CODE = re.compile(r"^(?:from\s+\w+\s+)?import\s|^\s*(?:def|class)\s+\w+|^\s*assert\s", re.MULTILINE)


def same_text(answer: str, gold: str) -> bool:
    """Whether the final answers are the same words, or the same letter; nothing is guessed: "Paris, France" differs."""
    wanted, given = final_answer(gold), final_answer(answer)
    letter = chosen(wanted)
    if letter is not None:
        return chosen(given) == letter
    return normalised(given) == normalised(wanted) != ""


def normalised(text: str) -> str:
    """The words of the text: compatible characters, case, white space, articles and outer punctuation do not count."""
    text = unicodedata.normalize("NFKC", _TEXT_COMMAND.sub(r"\1", text)).casefold()
    words = [word.strip(_OUTER) for word in text.split()]
    kept = [word for word in words if word]
    return " ".join([word for word in kept if word not in _ARTICLES] or kept)


def chosen(answer: str) -> str | None:
    """The capital letter when the answer is one: "B", "(b)", "B.", "option B"; None when it is anything else."""
    found = _CHOICE.fullmatch(unicodedata.normalize("NFKC", _TEXT_COMMAND.sub(r"\1", answer)).strip())
    return found["letter"].upper() if found else None


def answer_type(gold: str) -> AnswerType:
    """What kind of answer the gold one is, which says how answers are checked.

    code: tests, to run programs against. choice: one capital letter A to J, as those of options are. number: written
    out, with or without unit. expression: other mathematics (formulas, pairs, intervals, equations). text: words.
    unreadable: neither, such as a formula that breaks off or signs alone.
    """
    if _CODE.search(gold) or _is_cases(gold):
        return "code"
    answer = final_answer(gold)
    if chosen(answer) is not None and any(character.isupper() for character in answer):
        return "choice"
    shape = read_shape(answer)
    if shape is None:
        plain = _TEXT_COMMAND.sub(r"\1", answer)
        is_words = normalised(plain) != "" and not _BROKEN_FORMULA.search(plain)
        return "text" if is_words else "unreadable"
    return "number" if isinstance(shape, Quantity) else "expression"


def _is_cases(gold: str) -> bool:
    """Whether the gold answer is a list of inputs and outputs, see code_tests.py."""
    if not gold.lstrip().startswith("["):
        return False
    try:
        match json.loads(gold):
            case [{"stdin": str()}, *_]:
                return True
            case _:
                return False
    except (ValueError, RecursionError):
        return False
