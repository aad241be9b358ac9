"""A row's provenance for a person. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from realign_client.render.figures import number


def provenance_lines(row: Mapping[str, Any], provenance: Mapping[str, Any]) -> list[str]:
    """The row, the place in the source that it comes from, and everything that led from one to the other."""
    lines = [f"row {row['id']}"]
    lines += [f"  {name}: {_text(value)}" for name, value in row.items() if name != "id"]
    source = cast("Mapping[str, Any]", provenance.get("source") or {})
    section = f", {source['section']}" if source.get("section") else ""
    lines += ["", f"from {source.get('name')}{section} (sha256 {str(source.get('sha256'))[:12]})"]
    for span in provenance.get("spans") or ():
        lines.append(f"  page {span['page']}, characters {span['start']} to {span['end']}")
    if provenance.get("quote"):
        lines.append(f"  “{' '.join(str(provenance['quote']).split())}”")
    lines.append("")
    for name, value in provenance.items():
        if name not in ("source", "spans", "quote"):
            lines += _lines(name, value, indent="")
    return lines


def _lines(name: str, value: object, indent: str) -> Iterator[str]:
    """The value under its name: nested values below it, plain ones beside it."""
    match value:
        case dict():
            yield f"{indent}{_title(name)}"
            for key, inner in cast("dict[str, object]", value).items():
                yield from _lines(key, inner, f"{indent}  ")
        case list() if value and all(isinstance(item, dict) for item in cast("list[object]", value)):
            for place, item in enumerate(cast("list[object]", value), start=1):
                yield from _lines(f"{name} {place}", item, indent)
        case _:
            yield f"{indent}{_title(name)}: {_text(value)}"


def _title(name: str) -> str:
    return name.replace("_", " ")


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case float():
            return number(value)
        case str():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)
