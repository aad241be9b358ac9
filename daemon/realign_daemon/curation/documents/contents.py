"""Contents: what a reader makes of one file, before it is measured and named."""

from __future__ import annotations

from dataclasses import dataclass

from realign_daemon.curation.documents.document import BadLine, Block, Page, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A file's pages and what stands on them; the fields are those of Document."""

    pages: tuple[Page, ...]
    sections: tuple[Section, ...]
    blocks: tuple[Block, ...]
    tables: int = 0
    pictures: tuple[int, ...] = ()
    fields: tuple[dict[str, str], ...] = ()
    bad_lines: tuple[BadLine, ...] = ()
