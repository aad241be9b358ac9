"""The summary of an ended job for a person. Pure: reads summary.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from realign_client.render.figures import duration, number
from realign_client.render.jobs import gate_line, outcome_lines
from realign_client.render.table import table
from realign_proto.v1 import curation_pb2 as pb


def summary_lines(job: pb.Job) -> list[str]:
    """How the job ended, what it made and how good that is; what the gates and nodes say while there is no summary."""
    lines = [f"job {job.id}: {job.state}", *outcome_lines(job)]
    lines += [f"warning: {warning}" for warning in job.warnings]
    summary = _mapping(json.loads(job.summary_json or "null"))
    for section in ("workflow", "performance", "quality", "output", "cost"):
        rows = [row for key, value in _mapping(summary.get(section)).items() for row in _rows(key, value)]
        if rows:
            lines += ["", *table((section.upper(), ""), rows)]
    nodes = [(n.name, str(n.units), str(n.examples), number(n.examples_per_s)) for n in job.nodes]
    if nodes:
        lines += ["", *table(("NODE", "UNITS", "EXAMPLES", "EX/S"), nodes, right=(1, 2, 3))]
    if job.gates:
        lines += ["", *(gate_line(gate, with_remedy=False) for gate in job.gates)]
    return lines + _self_test(_mapping(summary.get("self_test"))) + _prediction(_mapping(summary.get("plan")))


def _self_test(found: Mapping[str, Any]) -> list[str]:
    if not found.get("planted"):
        return []
    alarms = f"{found['false_alarms']} false alarms" if found["false_alarms"] else "no false alarm"
    return ["", f"its checks found {found['detected']} of {found['planted']} planted defects, {alarms}"]


def _prediction(plan: Mapping[str, Any]) -> list[str]:
    predicted = _mapping(plan.get("predicted")).get("makespan_s")
    actual = _mapping(plan.get("actual")).get("makespan_s")
    if predicted is None or actual is None:
        return []
    return ["", f"predicted {duration(predicted)}, took {duration(actual)}"]


def _mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a part of a document
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _rows(key: str, value: object) -> list[tuple[str, str]]:
    """The value beside its name; a list takes a line for each item."""
    texts = [_text(item) for item in cast("list[object]", value)] if isinstance(value, list) else [_text(value)]
    return [(key.replace("_", " ") if index == 0 else "", text) for index, text in enumerate(texts)]


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return number(value)
        case str() | int():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False)
