"""Value: what can be decided of a job: that it has ended, or that another node is its home.

Its bytes are canonical JSON: equal values have equal bytes, and bytes that are not canonical are no value.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeGuard, assert_never, cast, get_args

from realign_daemon.engine.api import Sha256
from realign_daemon.work.units import UnitKey

EndState = Literal["completed", "completed_with_errors", "failed", "cancelled", "blocked"]
MAX_BYTES = 64 * 1024  # two thousand voters

_NODE = re.compile(r"[0-9A-Za-z_-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The job is over; the manifest says with which results."""

    state: EndState
    manifest: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehomed:
    """The job goes on in the next instance, with this home and these voters, in the order of their ids."""

    home: str
    voters: tuple[str, ...]


Value = Ended | Rehomed


def manifest(results: Iterable[tuple[UnitKey, Sha256]], quarantined: Iterable[UnitKey]) -> Sha256:
    """The hash of what a job used: each unit with the hash of its result, and the units it gave up. In any order."""
    listed = _canonical({"quarantined": sorted(quarantined), "results": sorted(results)})
    return Sha256(hashlib.sha256(listed).hexdigest())


def value_to_bytes(value: Value) -> bytes:
    """The value's canonical bytes. Raises ValueError when it can be no value, such as a home that has no vote."""
    match value:
        case Ended(state=state, manifest=digest):
            encoded = _canonical({"end": state, "manifest": digest})
        case Rehomed(home=home, voters=voters):
            encoded = _canonical({"rehome": home, "voters": voters})
        case _:
            assert_never(value)
    value_from_bytes(encoded)
    return encoded


def value_from_bytes(encoded: bytes) -> Value:
    """The value. Raises ValueError for anything but the canonical bytes of one."""
    if len(encoded) > MAX_BYTES:
        raise ValueError(f"a decision of {len(encoded)} bytes is too long; the most is {MAX_BYTES}")
    try:
        content: object = json.loads(encoded)
        is_canonical = _canonical(content) == encoded
    except (ValueError, RecursionError):
        content, is_canonical = None, False
    fields = cast("dict[str, object]", content) if isinstance(content, dict) and is_canonical else {}
    match fields:
        case {"end": end, "manifest": str(digest), **rest} if not rest and _is_end(end) and _SHA256.fullmatch(digest):
            return Ended(state=end, manifest=Sha256(digest))
        case {"rehome": str(home), "voters": voters, **rest} if not rest and _are_nodes(voters) and home in voters:
            return Rehomed(home=home, voters=tuple(voters))
        case _:
            raise ValueError(f"{encoded[:80]!r} is no decision that this realign knows; run one version on all nodes")


def _canonical(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _is_end(state: object) -> TypeGuard[EndState]:
    return state in get_args(EndState)


def _are_nodes(voters: object) -> TypeGuard[list[str]]:
    """Whether these are node ids in their order, none twice."""
    ids = [v for v in cast("list[object]", voters) if isinstance(v, str)] if isinstance(voters, list) else []
    return ids == voters == sorted(set(ids)) and all(_NODE.fullmatch(node) for node in ids)
