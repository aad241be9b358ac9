"""Outline: the table of contents of an EPUB, as its navigation file (EPUB 3) or its NCX (EPUB 2) writes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from realign_daemon.curation.documents.archive import resolved
from realign_daemon.curation.documents.markup import Tag, plain, tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A title, its level from 1 (outermost), and the file and the place in it that it leads to."""

    title: str
    level: int
    path: str
    fragment: str


def of_ncx(text: str, base: str) -> tuple[Entry, ...]:
    """The entries of an NCX file, whose path is `base`, in order."""
    entries: list[Entry] = []
    level, label_start, title = 0, 0, ""
    for tag in tags(text):
        name = tag.name.rpartition(":")[2]
        if name == "navpoint":
            level += -1 if tag.is_closing else 1
        elif name == "text" and not tag.is_closing:
            label_start = tag.end
        elif name == "text":
            title = plain(text[label_start : tag.start])
        elif name == "content" and level > 0 and title and not tag.is_closing:
            entries.append(_entry(title, level, tag.attributes.get("src", ""), base))
            title = ""
    return tuple(entries)


def of_navigation(text: str, base: str) -> tuple[Entry, ...]:
    """The entries of a navigation file's table of contents; its lists of pages and landmarks are others.

    A title that is no link (EPUB 3 writes it as a span) leads to where the first entry below it does.
    """
    entries: list[Entry] = []
    unlinked: list[tuple[str, int]] = []
    is_link, start, reference = False, 0, ""
    for tag, level in _contents(text):
        if tag.name == "a":
            is_link = not tag.is_closing
        if tag.name not in {"a", "span"} or (tag.name == "span" and is_link):
            continue
        title = plain(text[start : tag.start])
        if not tag.is_closing:
            start, reference = tag.end, tag.attributes.get("href", "")
        elif title and tag.name == "span":
            unlinked.append((title, level))
        elif title:
            entries += [_entry(above, depth, reference, base) for above, depth in unlinked if depth < level]
            unlinked.clear()
            entries.append(_entry(title, max(level, 1), reference, base))
    return tuple(entries)


def _contents(text: str) -> Iterator[tuple[Tag, int]]:
    """The tags of the table of contents, each with how many lists it stands in."""
    is_inside, level = False, 0
    for tag in tags(text):
        if tag.name == "nav":
            is_inside = not tag.is_closing and "toc" in tag.attributes.get("epub:type", "toc").split()
            level = 0
        elif is_inside and tag.name == "ol":
            level += -1 if tag.is_closing else 1
        elif is_inside:
            yield tag, level


def _entry(title: str, level: int, reference: str, base: str) -> Entry:
    path, fragment = resolved(reference, base)
    return Entry(title=title, level=level, path=path, fragment=fragment)
