"""Audit: what was done to the cluster and by whom, in lines of which each seals all before it.

The seal finds a line that was changed, taken out, put in or moved. It does not find that the last lines were cut off,
nor a whole chain that was made anew: whoever can write the database and cares to can do both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

MAX_TEXT = 200  # characters of a field: callers choose some of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What happened. No field holds a prompt, a row or a secret."""

    actor: str  # Principal.label, or "stranger"
    role: str
    method: str
    object: str = ""  # job, member or node
    outcome: str = "done"  # or the sentence of the refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """A deed with its place in the chain."""

    seq: int  # 1, 2, 3, …
    at_unix_s: float
    deed: Deed
    previous: str  # hash of the line before; empty for the first
    hash: str


class AuditTrail(Protocol):
    """Where the lines are kept."""

    async def record(self, deed: Deed) -> None:
        """Adds a line, durably."""
        ...

    async def last(self, count: int) -> tuple[AuditLine, ...]:
        """The last lines, oldest first."""
        ...

    async def broken_at(self) -> int | None:
        """The place of the first line that does not follow from those before; None when all do."""
        ...


def next_line(deed: Deed, *, after: AuditLine | None, at_unix_s: float) -> AuditLine:
    """The line for a deed. Long fields are cut, and characters that would spoil a terminal are escaped."""
    kept = Deed(
        actor=_shown(deed.actor),
        role=_shown(deed.role),
        method=_shown(deed.method),
        object=_shown(deed.object),
        outcome=_shown(deed.outcome),
    )
    seq, previous = (after.seq + 1, after.hash) if after else (1, "")
    sealed = seal(kept, seq=seq, at_unix_s=at_unix_s, previous=previous)
    return AuditLine(seq=seq, at_unix_s=at_unix_s, deed=kept, previous=previous, hash=sealed)


def first_broken(lines: Iterable[AuditLine], *, after: AuditLine | None = None) -> int | None:
    """The place at which the chain breaks: of the first line that is not what followed the one before; None if all are.

    `after` is the line before the first of `lines`, None when they are all there is.
    """
    for line in lines:
        seq, previous = (after.seq + 1, after.hash) if after else (1, "")
        expected = seal(line.deed, seq=seq, at_unix_s=line.at_unix_s, previous=previous)
        if (line.seq, line.previous, line.hash) != (seq, previous, expected):
            return seq
        after = line
    return None


def seal(deed: Deed, *, seq: int, at_unix_s: float, previous: str) -> str:
    """sha256, hex, over a JSON list of everything in the line and the hash before it."""
    fields = [seq, at_unix_s, deed.actor, deed.role, deed.method, deed.object, deed.outcome, previous]
    # What is no JSON was written over ours in the database; in a list of its own it equals no text of ours.
    return hashlib.sha256(json.dumps(fields, default=lambda strange: [repr(strange)]).encode()).hexdigest()


def _shown(text: str) -> str:
    shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text[:MAX_TEXT])
    return shown if len(text) <= MAX_TEXT else shown + "…"
