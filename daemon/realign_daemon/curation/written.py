"""Written: what a job has made, as plain items: from its output folder, or from its desk while it runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from realign_daemon.curation.material import Dropped, Material, Row

Item = dict[str, Any]
SAMPLE_ITEMS = 20
EXHIBITS = ".exhibits.json"  # in the output folder, for `sample --stage`; not fetched with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Rows, what was dropped, and what each stage made, by its name."""

    rows: tuple[Row, ...]
    dropped: tuple[Dropped, ...]
    exhibits: dict[str, list[Item]]

    def items(self, *, stage: str, rejected: bool) -> tuple[str, Sequence[Item]]:
        """What somebody wants to look at, and its name: by default the rows, or the latest stage's work before them."""
        if rejected:
            wanted = [one for one in self.dropped if stage in ("", one.stage)]
            return "rejected", [{"stage": one.stage, "reason": one.reason, **one.content} for one in wanted]
        if stage:
            return stage, self.exhibits.get(stage, [])
        if self.rows or not self.exhibits:
            return "rows", [row.fields for row in self.rows]
        latest = next(reversed(self.exhibits))
        return latest, self.exhibits[latest]


def spread_out(items: Sequence[Item], n: int) -> list[Item]:
    """At most n of the items, evenly over all of them."""
    wanted = min(n or SAMPLE_ITEMS, len(items))
    return [items[index * len(items) // wanted] for index in range(wanted)]


def of_material(material: Material) -> Written:
    """What lies on a running job's desk."""
    return Written(rows=tuple(material.rows), dropped=tuple(material.dropped), exhibits=dict(material.exhibits))


def of_folder(folder: Path) -> Written:
    """What an ended job has written.

    Raises:
        OSError: the folder is gone.
        ValueError, KeyError: somebody has changed its files.
    """
    provenance = {line.pop("id"): line for line in _lines(folder / "provenance.jsonl")}
    rows = [
        Row(fields=fields, provenance=provenance.get(fields["id"], {}), is_held_out=name == "valid.jsonl")
        for name in ("train.jsonl", "valid.jsonl")
        for fields in _lines(folder / name)
    ]
    dropped = [
        Dropped(stage=line.pop("stage"), reason=line.pop("reason"), content=line)
        for line in _lines(folder / "rejected.jsonl")
    ]
    exhibits = folder / EXHIBITS
    return Written(
        rows=tuple(rows),
        dropped=tuple(dropped),
        exhibits=cast("dict[str, list[Item]]", json.loads(exhibits.read_bytes())) if exhibits.is_file() else {},
    )


def _lines(file: Path) -> list[Item]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]  # of bytes: text may hold U+2028
