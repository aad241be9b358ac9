"""Entries: the journal's headers: what this node holds durably, in the order in which it came to hold it.

A header is written in the transaction that writes what it names, so a node that shows a header has the thing on disk.
Every function runs inside a transaction of the caller.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

DIGEST_BYTES = 8  # tells versions of one thing apart, of which there are never many


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """A thing that nodes share: its kind, and its name within the kind."""

    kind: str
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A thing, the version of it, and its position in one node's journal. Equal digests are equal versions."""

    seq: int
    ref: Ref
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a node's journal has been taken in. Another index id is another database: it is taken in from 0."""

    index_id: str
    seq: int = 0
    boot: str = ""  # the run of its daemon that said so; empty where it tells none


def note(connection: sqlite3.Connection, ref: Ref, payload: bytes) -> None:
    """Puts a header at the end, unless this version has one. Of an older version neither header nor copies count."""
    digest = hashlib.sha256(payload).digest()[:DIGEST_BYTES]
    name = (ref.kind, ref.ref)
    held = connection.execute("SELECT seq, digest FROM journal WHERE kind=? AND ref=?", name).fetchone()
    if held is not None and held[1] == digest:
        return
    if held is not None:
        strike(connection, ref)
    connection.execute("INSERT INTO journal (kind, ref, digest) VALUES (?,?,?)", (*name, digest))


def strike(connection: sqlite3.Connection, ref: Ref) -> None:
    """Takes a header out, if there is one: what it named is gone from this node."""
    gone = "SELECT seq FROM journal WHERE kind=? AND ref=?"
    connection.execute(f"DELETE FROM copies WHERE seq IN ({gone})", (ref.kind, ref.ref))  # noqa: S608 - our own text
    connection.execute("DELETE FROM journal WHERE kind=? AND ref=?", (ref.kind, ref.ref))


def headers(connection: sqlite3.Connection, *, after: int, limit: int) -> tuple[Header, ...]:
    """The next headers after a position."""
    query = "SELECT seq, kind, ref, digest FROM journal WHERE seq>? ORDER BY seq LIMIT ?"
    rows = connection.execute(query, (after, limit))
    return tuple(Header(seq=seq, ref=Ref(kind=kind, ref=ref), digest=digest) for seq, kind, ref, digest in rows)


def last(connection: sqlite3.Connection) -> int:
    """The highest position that was ever given out; 0 in an empty journal."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name='journal'").fetchone()
    return int(row[0]) if row else 0


def missing(connection: sqlite3.Connection, announced: Iterable[Header]) -> tuple[Ref, ...]:
    """Those that this node does not hold in that version."""
    query = "SELECT 1 FROM journal WHERE kind=? AND ref=? AND digest=?"
    return tuple(
        header.ref
        for header in announced
        if connection.execute(query, (header.ref.kind, header.ref.ref, header.digest)).fetchone() is None
    )


def index_id(connection: sqlite3.Connection) -> str:
    """The name of this database, minted with it: others see by it that a node has lost its ledger."""
    return str(connection.execute("SELECT value FROM meta WHERE key='index_id'").fetchone()[0])


def position(connection: sqlite3.Connection, node: str) -> Position:
    """How far the node's journal was taken in; an empty index id before the first time."""
    row = connection.execute("SELECT index_id, seq, boot FROM positions WHERE node=?", (node,)).fetchone()
    return Position(index_id=row[0], seq=row[1], boot=row[2]) if row else Position(index_id="")


def advance(connection: sqlite3.Connection, node: str, to: Position) -> None:
    """Notes how far the node's journal is taken in. Of another database than before the copies are unknown."""
    if position(connection, node).index_id != to.index_id:
        connection.execute("DELETE FROM copies WHERE node=?", (node,))
    connection.execute("INSERT OR REPLACE INTO positions VALUES (?,?,?,?)", (node, to.index_id, to.seq, to.boot))


def note_copies(connection: sqlite3.Connection, node: str, announced: Iterable[Header]) -> None:
    """Notes of those that this node holds, too, in that version, that the other node has them."""
    connection.executemany(
        "INSERT OR IGNORE INTO copies SELECT seq, ? FROM journal WHERE kind=? AND ref=? AND digest=?",
        ((node, header.ref.kind, header.ref.ref, header.digest) for header in announced),
    )


def holders(connection: sqlite3.Connection, ref: Ref) -> frozenset[str]:
    """The other nodes that are known to hold what this one holds."""
    query = "SELECT node FROM journal JOIN copies USING (seq) WHERE kind=? AND ref=?"
    return frozenset(str(row[0]) for row in connection.execute(query, (ref.kind, ref.ref)))


def alone(connection: sqlite3.Connection, kind: str, *, besides: Iterable[str]) -> int:
    """How many things of this kind none of these nodes is known to hold."""
    nodes = tuple(besides)
    marks = ",".join("?" * len(nodes))
    query = f"SELECT COUNT(*) FROM journal WHERE kind=? AND seq NOT IN (SELECT seq FROM copies WHERE node IN ({marks}))"  # noqa: S608 - only marks
    return int(connection.execute(query, (kind, *nodes)).fetchone()[0])


def digests(connection: sqlite3.Connection) -> dict[str, str]:
    """For each kind a digest of all that is held of it: equal on nodes that hold the same."""
    rows = connection.execute("SELECT kind, ref, digest FROM journal ORDER BY kind, ref")
    return {str(kind): _digest((ref, digest) for _, ref, digest in held) for kind, held in groupby(rows, itemgetter(0))}


def _digest(held: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for ref, version in held:
        digest.update(f"{ref}\0".encode() + version)
    return digest.hexdigest()
