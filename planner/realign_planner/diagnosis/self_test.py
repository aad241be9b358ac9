"""Self-test: how the last group that was to use RDMA proved its links, by what its head's log says.

Every group proves them before it computes anything: each rank is a process of its own, with a deadline, and they take
sums of 4 B to 1 MiB whose exact results are known (daemon: engine/child/formation, groups/watchdog).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from realign_planner.diagnosis.answer import document, word
from realign_planner.diagnosis.log_failures import failures_in, since_start

Outcome = Literal["passed", "hang", "wrong_value", "wrong_size", "failed", "not_run"]

FORMED, OVER = "group.formed", "group.over"
_ENDINGS: Mapping[Outcome, re.Pattern[str]] = MappingProxyType(
    {
        "hang": re.compile(r"did not join the group within"),
        "wrong_value": re.compile(r"a sum of \d+ values over the ranks came out wrong"),
        "wrong_size": re.compile(r"it became rank \d+ of \d+ where the plan has"),
        "failed": re.compile(r"MLX \S+ could not join"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """How it ended; `detail` says when, and what was said.

    hang: it did not end in time. wrong_value: a sum was not the exact one. wrong_size: the group had not all its
    members. failed: anything else for which there is no cause of its own.
    """

    outcome: Outcome
    detail: str = ""


NOT_RUN = SelfTest(outcome="not_run")


def last_proof(log: str) -> SelfTest:
    """How it ended since the daemon's start. A group that formed and was lost later has passed."""
    for line in reversed(since_start(log)):
        found = (document(line) if FORMED in line or OVER in line else None) or {}
        if found.get("backend") != "jaccl":
            continue
        at, reason = word(found.get("timestamp")), word(found.get("reason"))
        if found.get("event") == FORMED:
            return SelfTest(outcome="passed", detail=f"group {word(found.get('group'))} formed at {at}")
        outcome: Outcome | None = next(
            (outcome for outcome, pattern in _ENDINGS.items() if pattern.search(reason)), None
        )
        if outcome == "failed" and failures_in(line):
            return NOT_RUN  # a cause of its own says more
        if outcome is not None:
            return SelfTest(outcome=outcome, detail=f"{at}: {reason}")
    return NOT_RUN
