"""Written: what a job has made, whole: from its desk while it runs, or from its output folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from realign_daemon.curation.material import Dropped, Material, Row
from realign_daemon.errors import NotFound

Item = dict[str, Any]
T = TypeVar("T")
SAMPLE_ITEMS = 20
ROW_FILES = ("train.jsonl", "valid.jsonl")
EXHIBITS = ".exhibits.jsonl"  # in the output folder: {"stage", "item"}, for `sample --stage`; not fetched with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Some of what a job has made, evenly over all of it: what the items are, and how many there are in all."""

    of: str
    total: int
    items: list[Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Rows, what was dropped, and what each stage made, by its name."""

    rows: tuple[Row, ...]
    dropped: tuple[Dropped, ...]
    exhibits: dict[str, list[Item]]

    def excerpt(self, *, n: int, stage: str, rejected: bool) -> Excerpt:
        """What somebody wants to look at: by default the rows, or the latest stage's work before there are any."""
        if rejected:
            wanted = [one for one in self.dropped if stage in ("", one.stage)]
            found = [{"stage": one.stage, "reason": one.reason, **one.content} for one in _spread(wanted, n)]
            return Excerpt(of="rejected", total=len(wanted), items=found)
        if not stage and (self.rows or not self.exhibits):
            return Excerpt(of="rows", total=len(self.rows), items=[row.fields for row in _spread(self.rows, n)])
        name = stage or next(reversed(self.exhibits))
        items = self.exhibits.get(name, [])
        return Excerpt(of=name, total=len(items), items=list(_spread(items, n)))


def places(total: int, n: int) -> list[int]:
    """At most n of so many places, evenly over all of them."""
    wanted = min(n or SAMPLE_ITEMS, total)
    return [index * total // wanted for index in range(wanted)]


def of_material(material: Material, *, earlier: Mapping[str, list[Item]] | None = None) -> Written:
    """What lies on a running job's desk; of stages that have nothing there yet, what they made in an `earlier` run."""
    before = {stage: items for stage, items in (earlier or {}).items() if stage not in material.exhibits}
    return Written(rows=tuple(material.rows), dropped=tuple(material.dropped), exhibits={**before, **material.exhibits})


def absence(name: str, dropped: Iterable[Dropped]) -> NotFound:
    """The error for a row that is not there: of one that was rejected, it says in which stage and why."""
    for one in dropped:
        found = str(one.content.get("id", ""))
        if name and found.startswith(name):
            return NotFound(
                f"row {found} was rejected in {one.stage}: {one.reason}; `realignctl sample --rejected` shows such rows"
            )
    return NotFound(f"there is no row {name!r}; `realignctl sample` shows ids")


def some(exhibits: Mapping[str, list[Item]]) -> dict[str, list[Item]]:
    """A few items of each stage, evenly over all that it made."""
    return {stage: list(_spread(items, SAMPLE_ITEMS)) for stage, items in exhibits.items()}


def of_folder(folder: Path) -> Written:
    """What an ended job has written.

    Raises:
        OSError: the folder is gone.
        ValueError, KeyError: somebody has changed its files.
    """
    provenance = {line.pop("id"): line for line in _lines(folder / "provenance.jsonl")}
    rows = [
        Row(fields=fields, provenance=provenance.get(fields["id"], {}), is_held_out=name == "valid.jsonl")
        for name in ROW_FILES
        for fields in _lines(folder / name)
    ]
    dropped = dropped_in(folder)
    exhibits: dict[str, list[Item]] = {}
    shown = folder / EXHIBITS
    for line in _lines(shown) if shown.is_file() else ():
        exhibits.setdefault(line["stage"], []).append(line["item"])
    return Written(rows=tuple(rows), dropped=tuple(dropped), exhibits=exhibits)


def dropped_in(folder: Path) -> Iterator[Dropped]:
    """What was dropped, one after the other. Raises as `of_folder`."""
    for line in _lines(folder / "rejected.jsonl"):
        yield Dropped(stage=line.pop("stage"), reason=line.pop("reason"), content=line)


def _spread(items: Sequence[T], n: int) -> Iterator[T]:
    return (items[place] for place in places(len(items), n))


def _lines(file: Path) -> Iterator[Item]:
    with file.open("rb") as lines:  # of bytes: text may hold U+2028
        for line in lines:
            yield json.loads(line)
