"""A diagnosis for a person and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from realign_client.render.table import table
from realign_planner.diagnosis.check import Check
from realign_planner.diagnosis.diagnosis import Diagnosis

MARKS = {"ok": "ok", "failed": "FAILED", "warning": "warning", "skipped": "-", "unknown": "?"}
BLOCKS = {"rdma": "blocks RDMA only", "cluster": "blocks the cluster", "warning": "a warning"}


def document_of(diagnosis: Diagnosis) -> dict[str, Any]:
    """What `doctor --json` prints."""
    return {
        "ok": diagnosis.ok,
        "exit_code": diagnosis.exit_code,
        "backend": diagnosis.backend,
        "checks": [asdict(check) for check in diagnosis.checks],
    }


def diagnosis_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """Every check on one line, then each cause with its evidence and what to do, the first one first."""
    together = groupby(diagnosis.checks, key=lambda check: (check.state, check.cause, _remark(check)))
    rows = [(MARKS[state], _titles(list(checks)), remark) for (state, _, remark), checks in together]
    yield from table(("", "CHECK", ""), rows)
    for check in diagnosis.checks:
        if check.cause is not None:
            yield ""
            yield from _cause_lines(check)
    yield ""
    yield _verdict(diagnosis)


def _titles(checks: list[Check]) -> str:
    return checks[0].title if len(checks) == 1 else f"{checks[0].title} … {checks[-1].title}"


def _remark(check: Check) -> str:
    return check.sentence or check.evidence if check.cause is None else f"{check.cause} ({check.exit_code})"


def _cause_lines(check: Check) -> Iterator[str]:
    yield f"{check.cause} · {BLOCKS.get(check.severity or '', '')} · exit code {check.exit_code}"
    yield f"  what:  {check.sentence}"
    if check.evidence:
        yield f"  seen:  {check.evidence}"
    yield f"  to do: {check.fix}"


def _verdict(diagnosis: Diagnosis) -> str:
    if diagnosis.backend == "jaccl":
        link = "sharded models can use RDMA"
    elif diagnosis.awaits_test:
        link = "RDMA is ready as far as can be seen here; the first group of nodes that uses it proves the link"
    else:
        link = "sharded models use the ring over TCP; single nodes need neither"
    if diagnosis.ok:
        return f"nothing is wrong; {link}"
    return f"{link}; doctor has changed nothing"
