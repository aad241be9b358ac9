"""Drops: conditions on rows that somebody does not want, and what is left without them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal, cast

from realign_daemon.curation.material import Dropped, Row
from realign_daemon.curation.place import spot
from realign_daemon.errors import BadInput

Kind = Literal["page", "source", "where", "row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """A condition on rows: a page (of a source), a source's name or hash, a row's id or its start, a field."""

    kind: Kind
    value: str
    field: str = ""  # of "where": a field of the row, or a dotted path into its provenance

    def __str__(self) -> str:
        return f"{self.kind} {self.field}={self.value}" if self.kind == "where" else f"{self.kind} {self.value}"

    def holds(self, row: Row) -> bool:
        """Whether the row is meant."""
        match self.kind:
            case "page":
                number, _, source = self.value.partition(" of ")
                spans = cast("list[Mapping[str, int]]", row.provenance.get("spans") or [])
                return any(str(span["page"]) == number for span in spans) and (not source or _is_of(row, source))
            case "source":
                return _is_of(row, self.value)
            case "row":
                return str(row.fields["id"]).startswith(self.value)
            case "where":
                found = row.fields.get(self.field, _at(row.provenance, self.field.split(".")))
                return found is not None and _text(found) == self.value


def read_drop(text: str) -> Drop:
    """The condition in a text such as `page 3`, `page 3 of b.pdf`, `source b.pdf`, `row 12ab`, `where label=abstain`.

    Raises:
        BadInput: it is none.
    """
    kind, _, value = text.partition(" ")
    field, equals, wanted = value.partition("=")
    if kind == "where" and equals and field:
        return Drop(kind="where", field=field, value=wanted)
    if kind in ("page", "source", "row") and value:
        return Drop(kind=cast("Kind", kind), value=value)
    message = (
        f"{text!r} says not which rows to drop; write page N (of SOURCE), source NAME, row ID or where FIELD=VALUE"
    )
    raise BadInput(message)


def with_whole_ids(conditions: Iterable[str], rows: Sequence[Row]) -> list[str]:
    """The conditions with each row's id written out, so that they never mean a row that comes later.

    Raises:
        BadInput: a condition that is none, or the beginning of several rows' ids.
    """
    whole: list[str] = []
    for drop in map(read_drop, conditions):
        meant = [str(row.fields["id"]) for row in rows if drop.holds(row)] if drop.kind == "row" else []
        if len(meant) > 1:
            message = f"{len(meant)} rows begin with {drop.value!r}; give more of the id"
            raise BadInput(message)
        whole.append(f"row {meant[0]}" if meant else str(drop))
    return whole


def without_dropped(rows: Sequence[Row], drops: Iterable[str], *, stage: str) -> tuple[list[Row], list[Dropped]]:
    """The rows that no condition holds for, and the others with theirs."""
    conditions = [read_drop(text) for text in drops]
    kept: list[Row] = []
    dropped: list[Dropped] = []
    for row in rows:
        met = next((condition for condition in conditions if condition.holds(row)), None)
        if met is None:
            kept.append(row)
        else:
            dropped.append(
                Dropped(stage=stage, reason=f"dropped by hand: {met}", content=row.fields | spot(row.provenance))
            )
    return kept, dropped


def _is_of(row: Row, wanted: str) -> bool:
    source = cast("Mapping[str, str]", row.provenance.get("source") or {})
    name = source.get("name", "")
    return wanted in (name, PurePath(name).name, source.get("sha256"))


def _at(value: object, path: Sequence[str]) -> object:
    for name in path:
        value = cast("Mapping[str, Any]", value).get(name) if isinstance(value, Mapping) else None
    return value


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
