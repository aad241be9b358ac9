"""Excerpts: parts of an output folder, read without the rest of it: its files may be far larger than memory."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from realign_daemon.curation.material import Row
from realign_daemon.curation.written import (
    EXHIBITS,
    ROW_FILES,
    SAMPLE_ITEMS,
    Excerpt,
    Item,
    absence,
    dropped_in,
    places,
)
from realign_daemon.errors import BadInput

MOST_INDEXES = 16  # eight bytes a line each
WHOLE_ID = 64  # hex digits of SHA-256: no other row's id begins so

Stamp = tuple[int, int]  # when a file was changed, and its size


class Excerpts:
    """Reads from output folders. Where the lines of a file begin is remembered until the file changes.

    Every method may be called in a thread, and raises OSError where a file is gone, and ValueError, KeyError where
    somebody has changed one.
    """

    def __init__(self) -> None:
        self._indexes: dict[tuple[Path, bytes], tuple[Stamp, Sequence[int]]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._indexes)

    def sample(self, folder: Path, *, n: int, stage: str, rejected: bool) -> Excerpt:
        """As Written.excerpt, of what lies in the folder."""
        if rejected:
            return self._of(
                (folder / "rejected.jsonl",), n, of="rejected", begins=_key("stage", stage) if stage else b""
            )
        rows, exhibits = [folder / name for name in ROW_FILES], folder / EXHIBITS
        shown = self._starts(exhibits) if exhibits.is_file() else list[int]()
        if not stage and (not shown or any(len(self._starts(file)) for file in rows)):
            return self._of(rows, n, of="rows")
        name = stage or str(_read(exhibits, shown[-1])["stage"])
        return self._of((exhibits,), n, of=name, begins=_key("stage", name), item=lambda line: line["item"])

    def of_stages(self, folder: Path, stages: Iterable[str]) -> dict[str, list[Item]]:
        """A few items of each of these stages that has made any."""
        found = {name: self.sample(folder, n=SAMPLE_ITEMS, stage=name, rejected=False).items for name in stages}
        return {name: items for name, items in found.items() if items}

    def row(self, folder: Path, name: str) -> Row:
        """The row of that id, or of an unambiguous beginning of one.

        Raises:
            NotFound: there is no such row; the text says so of one that was rejected, and why.
            BadInput: several rows begin so.
        """
        begins = _key("id", name).removesuffix(b'"') if name else b"\0"
        found: list[Item] = []
        with (folder / "provenance.jsonl").open("rb") as lines:
            for line in lines:
                if line.startswith(begins):
                    found.append(json.loads(line))
                    if len(found) > 1 or len(name) == WHOLE_ID:
                        break
        if not found:
            raise absence(name, dropped_in(folder))
        if len(found) > 1:
            raise BadInput(f"several rows begin with {name!r}; give more of the id")
        whole = str(found[0].pop("id"))
        for file in ROW_FILES:
            with (folder / file).open("rb") as lines:
                for line in lines:
                    if whole.encode() in line and (fields := json.loads(line))["id"] == whole:
                        return Row(fields=fields, provenance=found[0], is_held_out=file == "valid.jsonl")
        raise ValueError(f"row {whole} has provenance and stands in no file")

    def _of(
        self,
        files: Sequence[Path],
        n: int,
        *,
        of: str,
        begins: bytes = b"",
        item: Callable[[Item], Item] = lambda line: line,
    ) -> Excerpt:
        indexes = [(file, self._starts(file, begins)) for file in files]
        total = sum(len(starts) for _, starts in indexes)
        items = [item(_read(*_located(indexes, place))) for place in places(total, n)]
        return Excerpt(of=of, total=total, items=items)

    def _starts(self, file: Path, begins: bytes = b"") -> Sequence[int]:
        """Where the lines are that begin so."""
        status = file.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        with self._lock:
            known = self._indexes.get((file, begins))
        if known is not None and known[0] == stamp:
            return known[1]
        starts, place = array("Q"), 0
        with file.open("rb") as lines:
            for line in lines:
                if line.startswith(begins):
                    starts.append(place)
                place += len(line)
        with self._lock:
            self._indexes.pop((file, begins), None)
            self._indexes[file, begins] = (stamp, starts)
            while len(self._indexes) > MOST_INDEXES:
                del self._indexes[next(iter(self._indexes))]
        return starts


def _located(indexes: Sequence[tuple[Path, Sequence[int]]], place: int) -> tuple[Path, int]:
    """The file and the start of a line that is at this place in all files together."""
    for file, starts in indexes:
        if place < len(starts):
            return file, starts[place]
        place -= len(starts)
    raise IndexError(place)


def _read(file: Path, start: int) -> dict[str, Any]:
    with file.open("rb") as lines:
        lines.seek(start)
        return json.loads(lines.readline())


def _key(name: str, value: str) -> bytes:
    """How a line begins whose first field is this one."""
    return json.dumps({name: value}, ensure_ascii=False).removesuffix("}").encode()
