"""Journal: what this node shares with the others, and takes in from them."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog

from realign_daemon.clock import Clock
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import RealignError
from realign_daemon.journal import entries, restored
from realign_daemon.journal.entries import Header, Position, Ref
from realign_daemon.journal.kind import Kind, merged
from realign_daemon.work.database import Database
from realign_daemon.work.schema import INDEX_ID_BYTES

log = structlog.get_logger()

HEADERS_A_BATCH = 1_000
OLDER_COPY = (
    "this ledger is an older copy of itself: another node has taken in more of it than there is; it counts as a new "
    "one, and this node does not vote on jobs that may be older"
)
GATHER_S = 0.05  # news wait this long for more: a commit of a follower costs the same for one thing as for a hundred


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A thing as it travels."""

    ref: Ref
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The next headers of a journal. `last` is its last position, so that a follower knows how far behind it is."""

    headers: tuple[Header, ...]
    end: Position  # of a follower that has taken these in
    last: int


class Journal:
    """The kinds of things that this node shares. A kind that it does not know is a newer node's: it is passed over."""

    def __init__(
        self,
        database: Database,
        kinds: Iterable[Kind],
        *,
        clock: Clock,
        boot: str = "",
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`boot` names this run of the daemon; the random bytes name a ledger that was put back from an older copy."""
        self._database = database
        self._kinds: Mapping[str, Kind] = {kind.name: kind for kind in kinds}
        self._clock = clock
        self._boot = boot
        self._random_bytes = random_bytes
        self._began = Position(index_id="")  # this journal as this run found it
        self.left_out = 0  # things of other nodes that could not be taken in, since the start

    async def open(self) -> None:
        """Makes ready. When this version knows other kinds than the last, all journals are taken in from the start."""
        kinds = " ".join(sorted(self._kinds))

        def work(connection: sqlite3.Connection) -> Position:
            if connection.execute("SELECT 1 FROM meta WHERE key='kinds' AND value=?", (kinds,)).fetchone() is None:
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('kinds', ?)", (kinds,))
                connection.execute("DELETE FROM positions")
            return Position(index_id=entries.index_id(connection), seq=entries.last(connection), boot=self._boot)

        self._began = await self._database.run(work)

    # What others ask of this node.

    async def follow(self, position: Position) -> AsyncGenerator[Batch]:
        """The headers after a position, and every new one. The first batch comes at once and may be empty."""
        is_first = True
        while True:
            written = self._database.written()
            batch = await self.after(position)
            if batch.headers or is_first:
                yield batch
            position, is_first = batch.end, False
            if position.seq >= batch.last:
                await written.wait()
                await self._clock.sleep(GATHER_S)

    async def after(self, position: Position) -> Batch:
        """The headers after a position in this journal; from the beginning when it is none of this database."""

        def work(connection: sqlite3.Connection) -> tuple[Batch, bool]:
            index_id, last = entries.index_id(connection), entries.last(connection)
            is_older = index_id == self._began.index_id and restored.is_older(position, here=self._began)
            if is_older:
                index_id = self._random_bytes(INDEX_ID_BYTES).hex()
                restored.begin_anew(connection, index_id=index_id, now_unix_s=self._clock.unix())
            is_here = position.index_id == index_id and position.seq <= last
            found = entries.headers(connection, after=position.seq if is_here else 0, limit=HEADERS_A_BATCH)
            reached = found[-1].seq if len(found) == HEADERS_A_BATCH else last  # the last headers may have been struck
            end = Position(index_id=index_id, seq=reached, boot=self._boot)
            return Batch(headers=found, end=end, last=last), is_older

        batch, is_older = await self._database.run(work)
        if is_older:
            log.error("ledger.restored", reason=OLDER_COPY)
        return batch

    async def load(self, refs: Sequence[Ref]) -> tuple[Item, ...]:
        """Those things that are here, in the order asked for."""

        def work(connection: sqlite3.Connection) -> Iterator[Item]:
            for ref in refs:
                kind = self._kinds.get(ref.kind)
                payload = kind.load(connection, ref.ref) if kind else None
                if payload is not None:
                    yield Item(ref=ref, payload=payload)

        return await self._database.run(lambda connection: tuple(work(connection)))

    async def digests(self) -> dict[str, str]:
        """For each kind that this node knows a digest of all that it holds of it."""
        found = await self._database.run(entries.digests)
        return {kind: found.get(kind, "") for kind in self._kinds}

    # What this node takes in.

    async def put(self, ref: Ref, payload: bytes) -> bool:
        """Makes a thing of this node's own known to all; whether it was news. Raises ValueError."""
        kind = self._kinds[ref.kind]
        return await self._database.run(lambda connection: merged(connection, kind, ref.ref, payload))

    async def position(self, node: str) -> Position:
        """How far the node's journal was taken in."""
        return await self._database.run(lambda connection: entries.position(connection, node))

    async def start_over(self, node: str) -> None:
        """Has the node's journal taken in from the start; what is here already is not fetched again."""
        await self._database.run(lambda connection: connection.execute("DELETE FROM positions WHERE node=?", (node,)))

    async def missing(self, batch: Batch) -> tuple[Ref, ...]:
        """What must be fetched: what is not here, or not in that version."""
        known = [header for header in batch.headers if header.ref.kind in self._kinds]
        return await self._database.run(lambda connection: entries.missing(connection, known))

    def blobs(self, item: Item) -> tuple[Sha256, ...]:
        """Files that must be here before the thing is taken in; none of a malformed one, which is not taken in."""
        try:
            return self._kinds[item.ref.kind].blobs(item.payload)
        except ValueError:
            return ()

    async def take_in(self, node: str, items: Sequence[Item]) -> None:
        """Merges another node's things of known kinds. A malformed one is left out and logged."""
        if not items:
            return

        def work(connection: sqlite3.Connection) -> None:
            for item in items:
                self._take_in(connection, node, item)

        await self._database.run(work)

    async def advance(self, node: str, start: Position, batch: Batch, items: Sequence[Item]) -> Position:
        """Merges the last things of a batch, and notes that it is taken in and what the node holds as this one does."""

        def work(connection: sqlite3.Connection) -> None:
            for item in items:
                self._take_in(connection, node, item)
            entries.advance(connection, node, batch.end)
            entries.note_copies(connection, node, batch.headers)

        if batch.headers or batch.end != start:
            await self._database.run(work)
        return batch.end

    # On how many disks things are.

    async def wait_for_copy(self, ref: Ref, among: frozenset[str]) -> None:
        """Returns once one of these nodes is known to hold what this one holds."""
        while True:
            written = self._database.written()
            if among & await self._database.run(lambda connection: entries.holders(connection, ref)):
                return
            await written.wait()

    async def alone(self, besides: frozenset[str]) -> int:
        """How many unit results none of these nodes is known to hold."""
        return await self._database.run(lambda connection: entries.alone(connection, "result", besides=besides))

    def _take_in(self, connection: sqlite3.Connection, node: str, item: Item) -> None:
        connection.execute("SAVEPOINT item")
        try:
            merged(connection, self._kinds[item.ref.kind], item.ref.ref, item.payload)
        except (ValueError, OverflowError, RealignError, sqlite3.IntegrityError) as error:
            connection.execute("ROLLBACK TO item")
            self.left_out += 1
            log.error("journal.malformed", node=node, kind=item.ref.kind, ref=item.ref.ref, reason=str(error))  # noqa: TRY400 - another node's fault
        connection.execute("RELEASE item")
