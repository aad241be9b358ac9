"""Sentence: where the sentences of a paragraph begin and end."""

from __future__ import annotations

import re

# After white space comes what can open a sentence; the full-width stops of Chinese and Japanese need none.
_BOUNDARY = re.compile(
    r"""(?<=[.!?…])["'”’»)\]]*(?P<gap>\s+)(?=["'“‘«(\[]*[^\Wa-z_])|(?<=[。！？])(?P<nothing>)"""  # noqa: RUF001
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|cf|e\.g|i\.e|etc|Fig|Eq|Sec|Ch|Vol|pp?|No|approx|Inc|Ltd|Gen|Col))\.$"
)


def sentence_bounds(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence in order, the white space between them left out.

    A stop after an initial or a common English abbreviation ends no sentence, nor does one before a small letter.
    """
    bounds: list[tuple[int, int]] = []
    start = 0
    for boundary in _BOUNDARY.finditer(text):
        end = boundary.start("gap") if boundary["gap"] is not None else boundary.start()
        if end <= start or _ABBREVIATION.search(text, max(start, end - 12), end):
            continue
        bounds.append((start, end))
        start = boundary.end()
    if start < len(text):
        bounds.append((start, len(text)))
    return bounds
