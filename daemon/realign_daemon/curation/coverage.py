"""Coverage: how much of each section of each source was asked about, and how much of it became rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from realign_daemon.curation.documents.document import Chunk
from realign_daemon.curation.material import Prompt, Row

Document = dict[str, Any]
Place = tuple[str, str]  # source, section


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A section, its passages (records are passages, too), and how many of them gave a prompt."""

    source: str
    section: str
    passages: int
    prompts: int


def sections_asked(chunks: Iterable[Chunk], prompts: Iterable[Prompt]) -> tuple[Asked, ...]:
    """Every section in reading order."""
    passages = Counter((chunk.source, chunk.section) for chunk in chunks)
    asked = Counter((prompt.chunk.source, prompt.chunk.section) for prompt in prompts)
    return tuple(
        Asked(source=place[0], section=place[1], passages=count, prompts=asked[place])
        for place, count in passages.items()
    )


def coverage(sections: Sequence[Asked], rows: Sequence[Row]) -> list[Document]:
    """Passages, prompts, rows to train on and held-out rows of each section."""
    train = Counter(_place(row.provenance) for row in rows if not row.is_held_out)
    held_out = Counter(_place(row.provenance) for row in rows if row.is_held_out)
    return [
        {
            "source": one.source,
            "section": one.section,
            "passages": one.passages,
            "prompts": one.prompts,
            "rows": train[(one.source, one.section)],
            "held_out_rows": held_out[(one.source, one.section)],
        }
        for one in sections
    ]


def _place(provenance: Mapping[str, Any]) -> Place:
    source: Mapping[str, Any] = provenance["source"]
    return source["name"], source["section"]
