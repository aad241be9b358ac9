"""A row's provenance for a person. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from realign_client.render.figures import number

SHORT = 12  # of the 64 digits of a hash; `--json` has all of them
_HASH = re.compile(r"[0-9a-f]{64}")


def provenance_lines(row: Mapping[str, Any], provenance: Mapping[str, Any]) -> list[str]:
    """The row, the place in the source that it comes from, and everything that led from one to the other."""
    lines = [f"row {row['id']}"]
    lines += [f"  {name}: {_text(value)}" for name, value in row.items() if name != "id"]
    source = cast("Mapping[str, Any]", provenance.get("source") or {})
    section = f", {source['section']}" if source.get("section") else ""
    section += f", line {provenance['line']}" if provenance.get("line") else ""
    lines += ["", f"from {source.get('name')}{section} (sha256 {_text(source.get('sha256'))})"]
    for span in provenance.get("spans") or ():
        lines.append(f"  page {span['page']}, characters {span['start']} to {span['end']}")
    if provenance.get("quote"):
        lines.append(f"  “{' '.join(str(provenance['quote']).split())}”")
    lines.append("")
    for name, value in provenance.items():
        if name == "judge" and value:
            lines += _judged(value)
        elif name not in ("source", "line", "spans", "quote"):
            lines += _lines(name, value, indent="")
    return lines


def _judged(judged: Mapping[str, Any]) -> Iterator[str]:
    """What came of it all, and a line for each judge."""
    yield from _lines("judge", {name: value for name, value in judged.items() if name != "models"}, indent="")
    for judge in judged.get("models") or ():
        said = cast("list[Mapping[str, Any]]", judge.get("said") or [])
        words = "; ".join(map(_said, said))
        templates = ", ".join(dict.fromkeys(one["template"] for one in said))
        nodes = ", ".join(dict.fromkeys(one["node"] for one in said))
        weights = f"unverified, at {judge['endpoint']}" if judge.get("endpoint") else _text(judge["model_sha256"])
        yield f"  {judge['model']} ({weights}): {words}; by {templates} on {nodes}"


def _said(one: Mapping[str, Any]) -> str:
    """A comparison's order and winner; a rubric's mean and, of several aspects, the lowest; or another single score."""
    if "order" in one:
        return f"{' before '.join(one['order'])}: {one['winner']}"
    scores = cast("Mapping[str, float]", one["scores"])
    mean, lowest = number(sum(scores.values()) / len(scores)), min(scores, key=scores.__getitem__)
    if len(scores) > 1:
        return f"{one['of']} {mean} (lowest {_title(lowest)} {number(scores[lowest])})"
    return f"{one['of']} {mean}" if lowest == "overall" else f"{one['of']}: {_title(lowest)} {mean}"


def _lines(name: str, value: object, indent: str) -> Iterator[str]:
    """The value under its name: nested values below it, plain ones beside it."""
    match value:
        case dict():
            yield f"{indent}{_title(name)}"
            for key, inner in cast("dict[str, object]", value).items():
                yield from _lines(key, inner, f"{indent}  ")
        case list() if value and all(isinstance(item, dict) for item in cast("list[object]", value)):
            for place, item in enumerate(cast("list[dict[str, object]]", value), start=1):
                plain = ", ".join(f"{_title(key)} {_text(inner)}" for key, inner in item.items())
                yield f"{indent}{_title(name)} {place}: {plain}"
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
            return value[:SHORT] if _HASH.fullmatch(value) else value
        case _:
            return json.dumps(value, ensure_ascii=False)
