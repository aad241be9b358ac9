"""Results and failures, as nodes share them: sets that only grow."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Final

from realign_daemon.engine.api import Fused, Sha256, Trained
from realign_daemon.engine.codec import decode_result, pack
from realign_daemon.journal.kind import fields, is_sha256

_RESULT = {
    "kind": str,
    "result": bytes,
    "node": str,
    "started_unix_s": (int, float),
    "busy_s": (int, float),
    "tokens": int,
}
_FAILURE = {"key": str, "node": str, "outcome": str, "message": str, "ended_unix_s": (int, float)}
_COLUMNS = ", ".join(_RESULT)
_WITH_FILES = ("trained", "fused")


def result_hash(result: bytes) -> str:
    """What tells two results of one unit apart: computed twice, it may have come out differently."""
    return hashlib.sha256(result).hexdigest()


class Results:
    """Unit results, `<unit key>/<hash of the result>`. What one node holds of a unit never displaces another's.

    Of equal results the one that was begun first stays, wherever it was computed.
    """

    name = "result"

    def load(self, connection: sqlite3.Connection, ref: str) -> bytes | None:
        """See Kind."""
        key, _, digest = ref.partition("/")
        query = f"SELECT {_COLUMNS} FROM results WHERE unit_key=? AND result_hash=?"  # noqa: S608 - our own column names
        row = connection.execute(query, (key, digest)).fetchone()
        return pack(dict(zip(_RESULT, row, strict=True))) if row else None

    def merge(self, connection: sqlite3.Connection, ref: str, payload: bytes) -> bool:
        """See Kind."""
        found = fields(payload, _RESULT)
        key, _, digest = ref.partition("/")
        if not key or result_hash(found["result"]) != digest:
            raise ValueError("the result is not the one that was announced")
        done = connection.execute(
            f"INSERT INTO results (unit_key, result_hash, {_COLUMNS}) VALUES (?,?,?,?,?,?,?,?) "  # noqa: S608 - see above
            "ON CONFLICT(unit_key, result_hash) DO UPDATE SET "
            "kind=excluded.kind, node=excluded.node, started_unix_s=excluded.started_unix_s, busy_s=excluded.busy_s, "
            "tokens=excluded.tokens WHERE "
            "(excluded.started_unix_s, excluded.node, excluded.busy_s, excluded.tokens, excluded.kind) "
            "< (started_unix_s, node, busy_s, tokens, kind)",
            (key, digest, *found.values()),
        )
        return done.rowcount > 0

    def blobs(self, payload: bytes) -> tuple[Sha256, ...]:
        """See Kind."""
        found = fields(payload, _RESULT)
        if found["kind"] not in _WITH_FILES:
            return ()
        match decode_result(found["result"]):
            case Trained(adapter=named) | Fused(weights=named):
                if not is_sha256(named):
                    raise ValueError("the result names no content")
                return (named,)
            case _:
                return ()


class Failures:
    """Attempts at units that gave no result. Once one node has forgiven an attempt, all have."""

    name = "failure"

    def load(self, connection: sqlite3.Connection, ref: str) -> bytes | None:
        """See Kind."""
        query = "SELECT unit_key, node, outcome, message, ended_unix_s FROM executions WHERE uid=?"
        row = connection.execute(query, (ref,)).fetchone()
        return pack(dict(zip(_FAILURE, row, strict=True))) if row else None

    def merge(self, connection: sqlite3.Connection, ref: str, payload: bytes) -> bool:
        """See Kind."""
        found = fields(payload, _FAILURE)
        done = connection.execute(
            "INSERT INTO executions (uid, unit_key, node, outcome, message, ended_unix_s) VALUES (?,?,?,?,?,?) "
            "ON CONFLICT(uid) WHERE uid IS NOT NULL DO UPDATE SET outcome='forgiven' "
            "WHERE excluded.outcome='forgiven' AND outcome!='forgiven'",
            (ref, *found.values()),
        )
        return done.rowcount > 0

    def blobs(self, payload: bytes) -> tuple[Sha256, ...]:  # noqa: ARG002 - a failure names none
        """See Kind."""
        return ()


RESULTS: Final = Results()
FAILURES: Final = Failures()
