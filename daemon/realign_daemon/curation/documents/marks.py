"""Marks: what stands in a text and is not of it, as the numbers of notes and of the pages of a printed edition."""

from __future__ import annotations

import re

from realign_daemon.curation.documents.markup import Tag

# EPUB's structural semantics, its roles in DPUB-ARIA, and the class that Project Gutenberg gives to page numbers.
_MARKS = frozenset(("noteref", "doc-noteref", "pagebreak", "doc-pagebreak", "pagenum"))
_MAY_MARK = re.compile("noteref|pagebreak|pagenum")
_NUMBER = r"\s{0,9}[\[(]?(?:[0-9]{1,4}|[*\u2020\u2021\u00a7]{1,3}|[a-z])[\])]?\s{0,9}"
_LINK = r"<a\b[^<>]{0,500}\shref\s{0,9}=\s{0,9}[\"'][^<>\"']{0,300}#[^<>]{0,500}>"
_RAISED_LINK = re.compile(
    rf"{_LINK}\s{{0,9}}<sup\b[^<>]{{0,500}}>{_NUMBER}</sup>\s{{0,9}}</a>"
    rf"|<sup\b[^<>]{{0,500}}>\s{{0,9}}{_LINK}{_NUMBER}</a>\s{{0,9}}</sup>",
    re.IGNORECASE,
)


def is_mark(tag: Tag, text: str) -> bool:
    """Whether the element that the tag opens in this file is such a mark: it says so, or is a raised linked number."""
    if tag.name in {"a", "sup"} and _RAISED_LINK.match(text, tag.start):
        return True
    if not _MAY_MARK.search(tag.raw_attributes):
        return False
    given = tag.attributes
    return any(not _MARKS.isdisjoint(given.get(name, "").split()) for name in ("epub:type", "role", "class"))
