"""Decisions of jobs' endings, as nodes share them: `<job>/<instance>`."""

from __future__ import annotations

import sqlite3
from typing import Final

from realign_daemon.decision.messages import Decision
from realign_daemon.decision.store import merge_decision, read_decision
from realign_daemon.decision.value import value_from_bytes
from realign_daemon.engine.api import Sha256
from realign_daemon.engine.codec import pack
from realign_daemon.journal.kind import fields, noted

_DECISION = {"config_epoch": int, "value": bytes}


class DecisionKind:
    """What was decided. The higher configuration epoch stays; two values in one epoch cannot be."""

    name = "decision"

    def load(self, connection: sqlite3.Connection, ref: str) -> bytes | None:
        """See Kind."""
        held = read_decision(connection, *_instance(ref))
        return None if held is None else pack({"config_epoch": held.config_epoch, "value": held.value})

    def merge(self, connection: sqlite3.Connection, ref: str, payload: bytes) -> bool:
        """See Kind. Raises Diverged when another value was decided here, which nothing here can mend."""
        found = fields(payload, _DECISION)
        value_from_bytes(found["value"])
        return merge_decision(connection, *_instance(ref), Decision(**found))

    def blobs(self, payload: bytes) -> tuple[Sha256, ...]:  # noqa: ARG002 - a decision names none
        """See Kind."""
        return ()


def noted_decision(connection: sqlite3.Connection, job_id: str, instance: int) -> None:
    """Puts what was decided here into the journal; see decision.store.Noted."""
    noted(connection, DECISIONS, f"{job_id}/{instance}")


def _instance(ref: str) -> tuple[str, int]:
    """Raises ValueError."""
    job_id, _, text = ref.rpartition("/")
    instance = int(text)
    if not job_id or f"{job_id}/{instance}" != ref:
        raise ValueError("the name is not that of a job's instance")
    return job_id, instance


DECISIONS: Final = DecisionKind()
