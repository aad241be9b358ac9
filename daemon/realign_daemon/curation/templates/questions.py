"""Question: whether it stands on its own, without the text that it was drawn from."""

from __future__ import annotations

import re

_PIECE = r"(?:passage|excerpt|snippet|text|paragraph|chapter|section|article|document|book|page|chunk|story|author)"
_SAYS = r"(?:says?|mentions?|describes?|discuss|states?|explains?|claims?|suggests?|refers?|gives?|defines?|mean|list)"
_SHOWN = r"(?:mentioned|described|discussed|shown|listed|stated|outlined|explained)"
_PARTS = (
    # "this passage", "the above table"
    rf"\b(?:this|these|above|given|provided|following|preceding|previous)\s+(?:{_PIECE}|example|table|figure)s?\b",
    r"\bthe\s+(?:passage|excerpt|snippet|chunk)s?\b",
    # "according to the author", "what does the book say", "is it mentioned in the text?", but not "the text editor"
    rf"\b(?:according\s+to|as\s+per)\s+the\s+{_PIECE}\b",
    rf"\bthe\s+{_PIECE}(?=\s*(?:[?,.;:!]|$|['\u2019]s\b|{_SAYS}))",
    r"\b(?:figure|table|chapter|section|page|equation|listing)\s+[0-9]+",
    rf"\b{_SHOWN}\s+(?:above|below|here|earlier)\b",
)
_LEANING = re.compile("|".join(_PARTS), re.IGNORECASE)


def leans_on_the_text(question: str) -> bool:
    """True when the (English) question points at its source, as "what does the author say" and "Figure 3" do."""
    return _LEANING.search(question) is not None
