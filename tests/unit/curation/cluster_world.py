"""Nodes of one cluster in one process: real ledgers, jobs, decisions and journals, and a network that a test cuts."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import permutations
from pathlib import Path

from tests.unit.curation.jobs_world import Script

from realign_daemon.curation.custody import REST_S, Custody
from realign_daemon.curation.job import Job, job_of
from realign_daemon.curation.relief import Cluster
from realign_daemon.curation.replicas import Away
from realign_daemon.decision.messages import Reply, Request
from realign_daemon.journal.journal import Journal
from realign_daemon.journal.kinds import KINDS
from realign_daemon.testing.job_home import JobHome
from realign_daemon.testing.manual_clock import ManualClock


class Node:
    """A node of the world: its own jobs, and those that it takes over."""

    def __init__(self, world: World, name: str, folder: Path) -> None:
        self._world = world
        self.name = name
        self.script = Script()
        self.home = JobHome(
            folder, work=self.script.work, clock=world.clock, node=name, voters=self, living=self.living
        )
        self.journal = Journal(self.home.database, KINDS, clock=world.clock)
        self.custody = self.new_custody()

    def new_custody(self, *, is_provisional: bool = True, auto_adopt_after_s: float = 0.0) -> Custody:
        """As of a daemon that starts now. Of those that hear each other the first leads; the last is the fittest."""
        cluster = Cluster(
            leads=lambda: self.living()[0] == self.name,
            fittest=lambda: self.living()[-1],
            away=self._away,
            living=self.living,
        )
        self.custody = Custody(
            node_id=self.name,
            jobs=self.home.jobs,
            ledger=self.home.ledger,
            output=self.home.output,
            endings=self.home.endings,
            decisions=self.home.decisions,
            cluster=cluster,
            clock=self._world.clock,
            is_provisional=is_provisional,
            auto_adopt_after_s=auto_adopt_after_s,
        )
        return self.custody

    async def look(self) -> None:
        """Has its custody look once, and do all that it finds to do."""
        async with asyncio.TaskGroup() as tasks:
            await self.custody.look(tasks)

    def living(self) -> tuple[str, ...]:
        """Whom this node hears, itself included."""
        return tuple(name for name in sorted(self._world.nodes) if self._world.hears(self.name, name))

    async def ask(self, node: str, request: Request) -> Reply:
        """See campaign.Voters."""
        if node in self._world.mute or not self._world.hears(self.name, node):
            raise ConnectionError(node)
        return await self._world.nodes[node].home.store.answer(request)

    async def stored(self, job: Job) -> Job:
        """The job as this node's ledger has it."""
        found = await self.home.ledger.job(job.spec.job_id)
        assert found is not None
        return job_of(found)

    async def take_in(self, other: Node) -> None:
        """Takes in all that the other's journal has."""
        position = await self.journal.position(other.name)
        batch = await other.journal.after(position)
        items = await other.journal.load(await self.journal.missing(batch))
        for blob in (blob for item in items for blob in self.journal.blobs(item)):
            self.home.blobs.put_bytes(other.home.blobs.read(blob))
        await self.journal.advance(other.name, position, batch, items)

    async def held(self, stage: str = "train_dpo") -> Job:
        """A job submitted here that stands in this stage of its run."""
        self.script.held = stage
        job = await self.home.submit()
        await self.script.reached.wait()
        return job

    def _away(self, node: str) -> Away | None:
        if self._world.hears(self.name, node):
            return None
        return Away(name=node, heard_unix_s=None if node in self._world.never_heard else self._world.cut_at_unix_s)


class World:
    """While it lasts the nodes run jobs; whatever else happens, happens when a test says so."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.clock = ManualClock()
        self.apart: frozenset[str] = frozenset()  # these hear each other only
        self.cut_at_unix_s = 0.0
        self.mute: set[str] = set()  # these are heard, and do not answer when they are asked for their votes
        self.never_heard: set[str] = set()
        self.nodes: dict[str, Node] = {}
        for name in names:
            self.nodes[name] = Node(self, name, folder / name)

    def hears(self, one: str, other: str) -> bool:
        """Whether these two reach each other."""
        return (one in self.apart) == (other in self.apart)

    def cut(self, *names: str) -> None:
        """Parts these from the others, instead of whom was apart before; nobody from nobody without any."""
        self.apart, self.cut_at_unix_s = frozenset(names), self.clock.unix()

    async def share(self) -> None:
        """Has all who hear each other know the same."""
        for _ in self.nodes:  # news travel over others
            for one, other in permutations(self.nodes.values(), 2):
                if self.hears(one.name, other.name):
                    await one.take_in(other)

    async def look(self, *names: str) -> None:
        """Has the custody of these, or of all, look once, one after the other; then they tell each other.

        What rested since an earlier look, because nothing could be done, has rested enough.
        """
        self.clock.advance(REST_S)
        for name in names or self.nodes:
            await self.nodes[name].look()
        await self.share()


@asynccontextmanager
async def running(folder: Path, names: str) -> AsyncGenerator[World]:
    """A world of nodes with these names, a letter each."""
    world = World(folder, names)
    async with AsyncExitStack() as stack:
        for node in world.nodes.values():
            await stack.enter_async_context(node.home)
            await node.journal.open()
        yield world


def executions(node: Node) -> set[str]:
    with sqlite3.connect(node.home.folder / "ledger.sqlite") as connection:
        found = [row[0] for row in connection.execute("SELECT unit_key FROM executions WHERE outcome='done'")]
    assert len(found) == len(set(found))
    return set(found)


def folder_of(job: Job) -> str:
    """Which of a node's roots the output lies under; nothing where there is none."""
    folder = Path(job.record.output)
    return folder.parent.name if job.record.output and folder.is_dir() else ""


def is_there(folder: str) -> bool:
    return Path(folder).exists()


async def goes_on(node: Node, job: Job) -> None:
    """Has a held job run to its end."""
    node.script.held = ""
    await node.home.jobs.pause(job.spec.job_id)
    await node.home.jobs.resume(job.spec.job_id)
    await node.home.until_ended(job)


async def provisional_at_b(world: World) -> tuple[Job, Job]:
    """A job of `a` that stands, and the same as `b` has run it after it lost `a`: of two, b alone is no majority."""
    a, b = world.nodes.values()
    job = await a.held()
    await world.share()
    world.cut("a")
    await world.look("b")
    there = b.home.jobs.get(job.spec.job_id)
    await b.home.until_ended(there)
    return job, there
