"""Following: whatever comes, in whatever order: small things never wait for large ones, and in the end all is there."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.journal.test_kinds import EVERY_THING, Thing, job

from realign_daemon.engine.api import Sha256
from realign_daemon.journal.entries import Position, Ref, headers
from realign_daemon.journal.facts import Facts, asked, earliest
from realign_daemon.journal.files import Files
from realign_daemon.journal.following import LARGE
from realign_daemon.journal.journal import Batch, Item, Journal
from realign_daemon.journal.kinds import KINDS
from realign_daemon.journal.replicator import Replicator
from realign_daemon.testing.virtual_clock import VirtualClock
from realign_daemon.testing.virtual_loop import VirtualLoop, run
from realign_daemon.work.database import Database

NEWS_S = 0.3  # what was written is gathered for a moment, fetched and merged
EXCHANGE_S = 3.0  # until it is there if the journal has to be followed anew, by a node that has just started
FILE_S = 1.5  # that a file takes to come
FILES = tuple(Sha256(letter * 64) for letter in "abc")
REVOCATIONS = Facts("revocation", earliest)
REVOKED: tuple[Thing, ...] = tuple(
    (Ref(kind="revocation", ref=key), asked("somebody", at_unix_s)) for key in "xy" for at_unix_s in (1.0, 2.0)
)
WITH_FILES: tuple[Thing, ...] = tuple(job(f"with-{sha256[0]}", blobs=json.dumps([sha256])) for sha256 in FILES)


class Node:
    """A ledger, files by name, and what takes in the other node's things."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._clock = VirtualClock(loop)
        self.database = Database(Path("memory"), connect=lambda _: sqlite3.connect(":memory:", isolation_level=None))
        self.journal = Journal(self.database, (*KINDS, REVOCATIONS), clock=self._clock)
        self.files: set[Sha256] = set()
        self.has_room = True
        self._running: asyncio.Task[None] | None = None

    async def start(self, other: Node) -> None:
        """Follows the other one, as a new run of the daemon."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        replicator = Replicator(
            self.journal,
            files=Files(hold_blob=self.files.__contains__, room_bytes=lambda: 1, clock=self._clock),
            peers=lambda: ["other"],
            connect=lambda _: Link(other, self),
            has_room=lambda: self.has_room,
            clock=self._clock,
        )
        self._running = asyncio.create_task(replicator.run())

    async def add(self, thing: Thing) -> None:
        """Something new, with its files."""
        ref, payload = thing
        if ref.kind == "job":
            self.files.update(self.journal.blobs(Item(ref=ref, payload=payload)))
        await self.journal.put(ref, payload)

    async def held(self, *, but: frozenset[str] = frozenset()) -> frozenset[tuple[Ref, bytes]]:
        """All that is in its journal, but for these kinds."""
        found = await self.database.run(lambda connection: headers(connection, after=0, limit=1_000))
        return frozenset((header.ref, header.digest) for header in found if header.ref.kind not in but)

    async def small(self) -> frozenset[tuple[Ref, bytes]]:
        """What must not wait."""
        return frozenset(one for one in await self.held(but=LARGE) if not one[0].ref.startswith("with-"))


class Link:
    """See Source; files take their time."""

    def __init__(self, other: Node, here: Node) -> None:
        self._other = other
        self._here = here

    def follow(self, position: Position) -> AsyncGenerator[Batch]:
        return self._other.journal.follow(position)

    async def fetch(self, refs: Sequence[Ref]) -> AsyncGenerator[Item]:
        for item in await self._other.journal.load(refs):
            yield item

    async def fetch_blob(self, sha256: Sha256, *, max_bytes: int) -> bool:
        assert max_bytes
        await asyncio.sleep(FILE_S)
        self._here.files.add(sha256)
        return True

    async def digests(self) -> Mapping[str, str]:
        return await self._other.journal.digests()


steps = st.one_of(
    st.sampled_from(EVERY_THING),
    st.sampled_from(REVOKED),
    st.sampled_from(WITH_FILES),
    st.booleans(),  # room or none
    st.sampled_from(("restart", "look")),
)


@settings(max_examples=150)
@given(steps=st.lists(st.tuples(st.integers(0, 1), steps, st.sampled_from((0.0, NEWS_S))), max_size=12))
def test_small_things_reach_a_node_without_room_at_once_and_the_rest_when_there_is_some(
    steps: list[tuple[int, Thing | bool | str, float]],
) -> None:
    async def main(loop: VirtualLoop) -> None:
        nodes = Node(loop), Node(loop)
        for node, other in zip(nodes, reversed(nodes), strict=True):
            await node.database.open()
            await node.start(other)
        for index, step, pause_s in steps:
            node, other = nodes[index], nodes[1 - index]
            match step:
                case bool():
                    node.has_room = step
                case "restart":
                    await node.start(other)
                case "look":
                    await asyncio.sleep(EXCHANGE_S)
                    assert await node.small() == await other.small()
                case _:
                    await node.add(cast("Thing", step))
            await asyncio.sleep(pause_s)
        for node in nodes:
            node.has_room = True
        await asyncio.sleep(EXCHANGE_S + len(FILES) * FILE_S)
        assert await nodes[0].held() == await nodes[1].held()
        assert nodes[0].files == nodes[1].files

    run(main, seed=0)
