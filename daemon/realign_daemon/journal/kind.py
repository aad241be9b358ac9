"""Kind: how nodes share one kind of thing: what it looks like on the wire, and what becomes of two versions of it."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Mapping
from typing import Any, Protocol, cast

from realign_daemon.engine.api import Sha256
from realign_daemon.engine.codec import unpack
from realign_daemon.journal.entries import Ref, note

_SHA256 = re.compile(r"[0-9a-f]{64}")
LARGEST = 2**63 - 1  # of SQLite's whole numbers; it would take NaN for a missing one


class Kind(Protocol):
    """Every method runs inside a transaction of the caller.

    `merge` must be commutative, associative and idempotent: nodes take the same things in in any order, more than once.
    """

    @property
    def name(self) -> str:
        """As headers name it."""
        ...

    def load(self, connection: sqlite3.Connection, ref: str) -> bytes | None:
        """The thing as other nodes get it; None when it is not here. Equal versions give equal bytes on every node."""
        ...

    def merge(self, connection: sqlite3.Connection, ref: str, payload: bytes) -> bool:
        """Takes in another node's version; whether anything changed here.

        Raises:
            ValueError: the payload is no thing of this kind and name.
        """
        ...

    def blobs(self, payload: bytes) -> tuple[Sha256, ...]:
        """Files that must be here before the thing counts as held. Raises ValueError."""
        ...


def noted(connection: sqlite3.Connection, kind: Kind, ref: str) -> None:
    """Puts the thing as it is here now into the journal; whoever writes one does this in the same transaction."""
    payload = kind.load(connection, ref)
    if payload is not None:
        note(connection, Ref(kind=kind.name, ref=ref), payload)


def merged(connection: sqlite3.Connection, kind: Kind, ref: str, payload: bytes) -> bool:
    """Takes in a version of a thing and puts what it became into the journal; whether it changed. Raises ValueError."""
    if not kind.merge(connection, ref, payload):
        return False
    noted(connection, kind, ref)
    return True


def fields(payload: bytes, shape: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """The payload's fields, in this order, which must be these at least; further ones of a newer version are left out.

    Raises:
        ValueError: it is no map, or lacks a field, or one is of another type.
    """
    plain = unpack(payload)
    if not isinstance(plain, dict):
        raise ValueError("the payload is no map")  # noqa: TRY004 - what came is wrong, not what was called
    found = cast("dict[str, Any]", plain)
    for name, kind in shape.items():
        value = found.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"the payload's field {name} is missing or of another type")  # noqa: TRY004 - see above
        if isinstance(value, (int, float)) and not (math.isfinite(value) and -LARGEST <= value <= LARGEST):
            raise ValueError(f"the payload's field {name} is a number that the ledger does not hold")
    return {name: found[name] for name in shape}


def is_sha256(value: object) -> bool:
    """Whether it names a content."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
