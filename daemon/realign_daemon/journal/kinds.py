"""Kinds: everything about work that nodes share."""

from __future__ import annotations

from typing import Final

from realign_daemon.journal.decisions import DECISIONS
from realign_daemon.journal.jobs import INTENTS, JOBS, RECORDS, TOMBSTONES
from realign_daemon.journal.kind import Kind
from realign_daemon.journal.results import FAILURES, RESULTS

KINDS: Final[tuple[Kind, ...]] = (RESULTS, FAILURES, JOBS, RECORDS, DECISIONS, INTENTS, TOMBSTONES)
