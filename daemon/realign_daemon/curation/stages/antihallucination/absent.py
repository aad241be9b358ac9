"""Absent names: a question about somebody or something that no source speaks of, made from one that can be answered."""

from __future__ import annotations

import random
import re

from realign_daemon.curation.templates.refusal import Refusal

ATTEMPTS = 50


def about_nobody(question: str, refusal: Refusal, sources: str, *, seed: int) -> str | None:
    """The question with its longest name replaced by an invented one of the same shape.

    None when it holds no name, or none of many inventions is missing from `sources` (in lower case).
    """
    names = [found.group() for found in re.finditer(refusal.name, question)]
    name = max(names, key=len, default="")
    chance = random.Random(f"{seed}\0{question}")
    for _ in range(ATTEMPTS if name else 0):
        invented = "".join(_other(letter, refusal, chance) for letter in name)
        if invented != name and invented.casefold() not in sources:
            return question.replace(name, invented)
    return None


def _other(letter: str, refusal: Refusal, chance: random.Random) -> str:
    """A vowel for a vowel, a consonant for any other letter, in the same case; what is no letter stays."""
    if not letter.isalpha():
        return letter
    drawn = chance.choice(refusal.vowels if letter.lower() in refusal.vowels else refusal.consonants)
    return drawn.upper() if letter.isupper() else drawn
