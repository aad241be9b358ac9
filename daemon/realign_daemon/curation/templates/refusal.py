"""Refusal: how one family of models says that it does not know, and what names in its questions look like."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from realign_daemon.engine.api import TrainSettings

_SENTENCE_END = re.compile(r"(?<=[.!?])\s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The words that a model is taught, how a refusal is known, and how names are recognised and invented.

    Patterns are regular expressions; those for refusals are matched against text in lower case with straight quotes.
    """

    words: str  # what the model is taught to say
    refuses: str  # found in the first sentence of a refusal
    answers_anyway: str = ""  # found in the first sentence of a text that goes on to answer
    name: str  # what another name can be put in place of
    vowels: str = "aeiou"
    consonants: str = "bcdfghjklmnpqrstvwxyz"
    sft: TrainSettings = field(default_factory=TrainSettings)
    dpo: TrainSettings = field(default_factory=TrainSettings)

    def is_refusal(self, text: str) -> bool:
        """Whether the text says that it does not know. One that doubts and answers all the same is no refusal."""
        plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'").casefold().strip()
        first = _SENTENCE_END.split(plain, maxsplit=1)[0]
        if re.search(self.refuses, first) is None:
            return False
        return not self.answers_anyway or re.search(self.answers_anyway, first) is None
