"""Facts: things that are known by a name and a payload alone, whatever they mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from realign_daemon.engine.api import Sha256
from realign_daemon.engine.codec import pack
from realign_daemon.journal.kind import fields

# Given a name, the payload that came, and the one that is here if there is one: the payload that stays. Raises
# ValueError when what came is no such fact. Whatever is here was let in by the same function.
MergeFacts = Callable[[str, bytes, bytes | None], bytes]

_ASKED = {"by": str, "at_unix_s": (int, float)}


class Facts:
    """One kind of fact. `merge` makes it a set that only grows, or a value that only moves one way."""

    def __init__(self, name: str, merge: MergeFacts) -> None:
        self._name = name
        self._merge = merge

    @property
    def name(self) -> str:
        """See Kind."""
        return self._name

    def load(self, connection: sqlite3.Connection, ref: str) -> bytes | None:
        """See Kind."""
        query = "SELECT payload FROM shared_facts WHERE kind=? AND ref=?"
        row = connection.execute(query, (self._name, ref)).fetchone()
        return None if row is None else bytes(row[0])

    def merge(self, connection: sqlite3.Connection, ref: str, payload: bytes) -> bool:
        """See Kind."""
        held = self.load(connection, ref)
        merged = self._merge(ref, payload, held)
        if merged == held:
            return False
        connection.execute("INSERT OR REPLACE INTO shared_facts VALUES (?,?,?)", (self._name, ref, merged))
        return True

    def blobs(self, payload: bytes) -> tuple[Sha256, ...]:  # noqa: ARG002 - a fact names none
        """See Kind."""
        return ()


def asked(by: str, at_unix_s: float) -> bytes:
    """The payload of something that somebody asked for."""
    return pack({"by": by, "at_unix_s": at_unix_s})


def earliest(_: str, came: bytes, held: bytes | None) -> bytes:
    """Of what was asked more than once, the first time; see MergeFacts."""
    read = fields(came, _ASKED)
    canonical = asked(read["by"], float(read["at_unix_s"]))
    return canonical if held is None else min(canonical, held, key=lambda one: (fields(one, _ASKED)["at_unix_s"], one))
