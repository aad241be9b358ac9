"""Notes: footnotes, told by smaller type at the foot of a page, so that the text goes on over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from realign_daemon.curation.documents.lines import Line

# Notes are set in 8 or 9 points under 10 to 12; type that is hardly smaller is that of a quotation.
NOTE_SIZE_RATIO = 0.9


def with_notes(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """The pages' lines with footnotes marked: the last lines of a page, in smaller type than most of the text.

    A page that is in small type from its first line is an index or an appendix and has none.
    """
    characters = Counter[float]()
    for page in pages:
        for line in page:
            characters[line.font_size] += len(line.text)
    limit = NOTE_SIZE_RATIO * characters.most_common(1)[0][0] if characters else 0.0
    marked: list[list[Line]] = []
    for page in pages:
        first = len(page)
        while first > 0 and 0 < page[first - 1].font_size <= limit and not page[first - 1].level:
            first -= 1
        notes = [replace(line, is_note=True) for line in page[first:]] if first else page
        marked.append([*page[:first], *notes])
    return marked
