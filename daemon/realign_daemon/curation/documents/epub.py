"""EPUB: the files of its spine as pages, with sections from its table of contents and its headings."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from realign_daemon.curation.documents.archive import Archive, Unusable, resolved
from realign_daemon.curation.documents.contents import Contents
from realign_daemon.curation.documents.document import Block, DocumentError, Page, Section
from realign_daemon.curation.documents.hypertext import flow_of, numbered
from realign_daemon.curation.documents.markup import Tag, tags
from realign_daemon.curation.documents.outline import Entry, of_navigation, of_ncx

_CONTAINER = "META-INF/container.xml"
_TEXT_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "")
_NCX_TYPE = "application/x-dtbncx+xml"
_PICTURE = re.compile(r"<(?:svg:)?(?:img|image|svg)\b", re.IGNORECASE)
_ANCHOR = re.compile(r"""<[^<>]*?\s(?:id|name)\s*=\s*["']([^"']+)""")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    """What a book's package file lists: the paths and types of its spine, and its tables of contents if any."""

    spine: tuple[tuple[str, str], ...]
    aside: frozenset[int]  # indices of files that are not read in order, as notes and the cover (linear="no")
    navigation: str
    ncx: str


def read_epub(data: bytes, name: str) -> Contents | DocumentError:
    """The book's text, or why it cannot be used.

    Files of the spine that the book says are not read in order are left out, unless they are all that has text.
    """
    try:
        return _read(Archive(data))
    except Unusable as error:
        return DocumentError(kind=error.kind, file=name, message=f"{name} {error}")


def _read(archive: Archive) -> Contents:
    package = _package(archive)
    pages = tuple(
        Page(number=number, text=archive.text(path) if kind in _TEXT_TYPES else "")
        for number, (path, kind) in enumerate(package.spine, start=1)
    )
    flows = [flow_of(page.text, page.number) for page in pages]
    items = [[] if index in package.aside else list(flow.items) for index, flow in enumerate(flows)]
    if not _have_text(items):
        items = [list(flow.items) for flow in flows]
    pictures = tuple(
        page.number for page, flow in zip(pages, flows, strict=True) if not flow.items and _PICTURE.search(page.text)
    )
    if not _have_text(items):
        kind, reason = ("scanned", "has pictures but no text") if pictures else ("empty", "has no text")
        raise Unusable(kind, f"{reason} on the {len(pages)} page(s) of its spine: use an edition with text")
    entries = _entries(archive, package)
    if entries:
        items = _by_outline(items, _places(entries, package, pages), max(entry.level for entry in entries))
    sections, blocks = numbered(item for page_items in items for item in page_items)
    tables = sum(flow.tables for flow, read in zip(flows, items, strict=True) if read)
    return Contents(pages=pages, sections=sections, blocks=blocks, tables=tables, pictures=pictures)


def _have_text(items: Iterable[Iterable[Section | Block]]) -> bool:
    return any(isinstance(item, Block) for page_items in items for item in page_items)


def _package(archive: Archive) -> _Package:
    root = next(_named("rootfile", tags(archive.text(_CONTAINER))), None)
    path = root.attributes.get("full-path") if root else None
    if not path:
        raise Unusable("damaged", f"cannot be used: its {_CONTAINER} names no package file: export it again")
    found = list(tags(archive.text(path)))
    manifest = {tag.attributes.get("id", ""): tag.attributes for tag in _named("item", found)}
    paths = {key: resolved(item.get("href", ""), path)[0] for key, item in manifest.items()}
    listed = [tag.attributes for tag in _named("itemref", found) if tag.attributes.get("idref") in manifest]
    spine = tuple((paths[item["idref"]], manifest[item["idref"]].get("media-type", "")) for item in listed)
    aside = frozenset(index for index, item in enumerate(listed) if item.get("linear", "").lower() == "no")
    if not spine:
        raise Unusable("damaged", "cannot be used: its spine lists no text, so it has no pages: export it again")
    ncx = [paths[key] for key, item in manifest.items() if item.get("media-type") == _NCX_TYPE]
    navigation = [paths[key] for key, item in manifest.items() if "nav" in item.get("properties", "").split()]
    return _Package(spine=spine, aside=aside, navigation="".join(navigation[:1]), ncx="".join(ncx[:1]))


def _named(name: str, found: Iterable[Tag]) -> Iterator[Tag]:
    return (tag for tag in found if tag.name.rpartition(":")[2] == name and not tag.is_closing)


def _entries(archive: Archive, package: _Package) -> tuple[Entry, ...]:
    """The table of contents of EPUB 3, else that of EPUB 2, else none."""
    for path, entries_of in ((package.navigation, of_navigation), (package.ncx, of_ncx)):
        entries = entries_of(archive.text(path), path) if path in archive else ()
        if entries:
            return entries
    return ()


def _places(entries: Sequence[Entry], package: _Package, pages: Sequence[Page]) -> dict[int, list[tuple[int, Entry]]]:
    """The offsets, in order, at which entries begin on the page of each index. One that leads nowhere is left out."""
    indices = {path: index for index, (path, _) in reversed(list(enumerate(package.spine)))}
    anchors: dict[int, dict[str, int]] = {}
    places: dict[int, list[tuple[int, Entry]]] = defaultdict(list)
    for entry in entries:
        index = indices.get(entry.path)
        if index is None:
            continue
        if entry.fragment and index not in anchors:
            anchors[index] = {found[1]: found.start() for found in reversed(list(_ANCHOR.finditer(pages[index].text)))}
        offset = anchors[index].get(entry.fragment) if entry.fragment else 0
        if offset is not None or not places[index]:
            places[index].append((offset or 0, entry))
    return {index: sorted(found, key=lambda place: place[0]) for index, found in places.items()}


def _by_outline(
    items: Sequence[Sequence[Section | Block]], places: dict[int, list[tuple[int, Entry]]], deepest: int
) -> list[list[Section | Block]]:
    """The pages' items with a section for each entry, in the place of the heading that stands there if there is one.

    Headings that no entry leads to are below all entries.
    """
    headed: list[list[Section | Block]] = []
    for index, page_items in enumerate(items):
        waiting = list(places.get(index, ()))
        page: list[Section | Block] = []
        for item in page_items:
            start = item.start if isinstance(item, Section) else item.runs[0].start
            due = [_section(entry, index + 1, start) for offset, entry in waiting if offset <= start]
            waiting = waiting[len(due) :]
            page += due
            if isinstance(item, Block):
                page.append(item)
            elif not due:
                page.append(replace(item, level=item.level + deepest))
        headed.append([*page, *(_section(entry, index + 1, offset) for offset, entry in waiting)])
    return headed


def _section(entry: Entry, page: int, start: int) -> Section:
    return Section(title=entry.title, level=entry.level, page=page, start=start)
