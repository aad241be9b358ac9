"""A small cluster of whole daemons with jobs, as one seed has it, and what can be seen of it from outside."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.sim.daemon_client import Asked, Client
from tests.sim.daemon_cluster import machines
from tests.sim.daemon_work import WORK

from realign_daemon.engine.api import Task
from realign_daemon.housekeeping.folders import MARK
from realign_daemon.journal import entries
from realign_daemon.journal.results import result_hash
from realign_daemon.testing.memory_network import Network
from realign_daemon.testing.virtual_daemon import VirtualDaemon
from realign_daemon.testing.virtual_loop import VirtualLoop
from realign_daemon.witness import Witness
from realign_daemon.work.units import UnitKey, make_unit
from realign_proto.v1 import work_pb2

SIZES = (*[2] * 14, *[3] * 5, 4)
WITNESSED = 0.25  # of the clusters of two, which are those that need one
UNIT_S = (0.3, 1.2)
FINAL = frozenset({"completed", "completed_with_errors", "failed", "blocked", "cancelled"})
ATTEND = "/realign.v1.Work/Attend"
PREPARE, ACCEPT = "/realign.v1.Decision/Prepare", "/realign.v1.Decision/Accept"


@dataclass(slots=True, kw_only=True)
class Given:
    """When an end was given out as final for the first time, and which nodes have given it out."""

    first_s: float
    by: set[str] = field(default_factory=set[str])


class World:
    """Daemons, not booted, on a network, their disks in the current folder, and a client."""

    def __init__(self, loop: VirtualLoop, *, size: int | None = None) -> None:
        """`size` is of the cluster, by default one that the seed gives."""
        self.loop = loop
        self.network = Network(loop)
        count = size or loop.chance.choice(SIZES)
        has_witness = count == SIZES[0] and loop.chance.random() < WITNESSED
        self.nodes = machines(self.network, count, takes_s=self._takes_s, work=WORK, has_witness=has_witness)
        self.workers = [node for node in self.nodes if node.kind is not Witness]
        self.client = Client(self.network, self.workers)
        self.apart_until_s = 0.0  # the last time that a node could not be heard, for whatever reason
        self.finals: dict[str, dict[str, Given]] = {}  # by job, every end that was given out as final
        self._looked_at: dict[str, int] = {}  # by host, the changes that its ledger had seen at the last look
        self.begins: list[tuple[float, UnitKey]] = []  # of units, anywhere, and when
        self.said_done = {node.host.name: set[str]() for node in self.nodes}  # results, by who told a home of them
        self._awaited: dict[str, asyncio.Future[VirtualDaemon]] = {}
        for node in self.nodes:
            node.overheard = {
                ATTEND: partial(self._hear, self.said_done[node.host.name]),
                PREPARE: lambda reply, node=node: self._hear_answer(PREPARE, node, yes=reply.promised),
                ACCEPT: lambda reply, node=node: self._hear_answer(ACCEPT, node, yes=reply.accepted),
            }

    def next_answer(self, method: str) -> asyncio.Future[VirtualDaemon]:
        """The next node that answers yes to PREPARE or ACCEPT, as soon as it does."""
        self._awaited[method] = self.loop.create_future()
        return self._awaited[method]

    def switch_off(self) -> None:
        """Ends all processes. The disks can still be read."""
        for host in self.network.hosts.values():
            if host.process is not None:
                host.crash()

    @property
    def begun(self) -> Counter[UnitKey]:
        """How often each unit was begun anywhere."""
        return Counter(key for _, key in self.begins)

    def is_calm(self) -> bool:
        """Whether all jobs have ended for good, nothing provisional is left of them, and all nodes hold the same."""
        are_final = all(map(self._is_over, self.client.asked))
        return are_final and len(self.digests()) == 1 and len(set(map(self.decisions, self.nodes))) == 1

    def _is_over(self, asked: Asked) -> bool:
        is_removed = asked.job_id in self.client.removed
        roots = ("provisional", "curated") if is_removed else ("provisional",)
        left = (self.outputs(node, asked.job_id, root) for node in self.workers for root in roots)
        if is_removed:
            return all(asked.job_id in self.buried(node) for node in self.nodes) and not any(left)
        return self.ends(asked.job_id) <= FINAL and not any(left)

    def outputs(self, node: VirtualDaemon, job_id: str, root: str = "curated") -> list[Path]:
        """The job's folders on the node."""
        marks = sorted((node.folder / root).glob(f"*/{MARK}"))
        return [mark.parent for mark in marks if mark.read_text() == job_id]

    def ends(self, job_id: str) -> frozenset[str]:
        """How the job has ended, as the ledgers of the nodes have it; other than FINAL where it has not for good."""
        query = (
            "SELECT json_extract(record, '$.state') || CASE WHEN json_extract(record, '$.decision') IS NULL "
            "OR json_extract(record, '$.provisional') != '' THEN ', provisional' ELSE '' END "
            "FROM records WHERE job_id=?"
        )
        rows = [node.connection.execute(query, (job_id,)).fetchone() for node in self.workers]
        return frozenset(str(row[0]) if row else "unknown" for row in rows)

    def look_at_ends(self) -> None:
        """Takes note of every end that a node gives out as final."""
        query = (
            "SELECT job_id, json_extract(record, '$.decision') FROM records "
            "WHERE json_extract(record, '$.decision') IS NOT NULL AND json_extract(record, '$.provisional') = ''"
        )
        for node in self.workers:
            changes = node.connection.total_changes
            if changes == self._looked_at.get(node.host.name):
                continue
            self._looked_at[node.host.name] = changes
            for job_id, decision in node.connection.execute(query):
                given = self.finals.setdefault(job_id, {}).setdefault(decision, Given(first_s=self.loop.time()))
                given.by.add(node.host.name)

    def homes(self) -> set[str]:
        """Nodes that jobs are homed at."""
        query = "SELECT DISTINCT home FROM jobs"
        return {str(row[0]) for node in self.workers for row in node.connection.execute(query)}

    def claim(self, job_id: str) -> tuple[str, int]:
        """The job's home and config epoch, as the node has them that has heard most."""
        query = "SELECT config_epoch, instance, home FROM jobs WHERE job_id=?"
        rows = [row for node in self.workers for row in node.connection.execute(query, (job_id,))]
        config_epoch, _, home = max(rows, default=(0, 0, ""))
        return home, config_epoch

    def rows(self, node: VirtualDaemon, table: str, job_id: str) -> int:
        """How many rows the node's ledger has of the job."""
        query = f"SELECT COUNT(*) FROM {table} WHERE job_id=?"
        return int(node.connection.execute(query, (job_id,)).fetchone()[0])

    def jobs(self) -> int:
        """How many jobs there are or were, be it that nobody was told of them."""
        stored = {row[0] for node in self.nodes for row in node.connection.execute("SELECT job_id FROM jobs")}
        return len(stored | self.client.removed)

    def digests(self) -> set[str]:
        """What all nodes hold, one text for each way of holding it."""
        return {str(sorted(entries.digests(node.connection).items())) for node in self.workers}

    def decisions(self, node: VirtualDaemon) -> frozenset[tuple[str, int, int, bytes]]:
        """What the node knows to be decided: job, instance, config epoch and value."""
        return frozenset(node.connection.execute("SELECT job_id, instance, config_epoch, value FROM decisions"))

    def small(self, node: VirtualDaemon) -> set[str]:
        """What others must be told of what the node holds, however little room they have."""
        query = "SELECT kind || ' ' || ref FROM journal WHERE kind IN ('decision', 'intent', 'tombstone')"
        adoptions = "SELECT 'adoption ' || job_id FROM jobs WHERE config_epoch > 0"
        return {str(row[0]) for text in (query, adoptions) for row in node.connection.execute(text)}

    def untold(self, node: VirtualDaemon, told: set[str]) -> list[str]:
        """Of what was told, what the node should hold and does not.

        Of a job that it knows to be removed it holds nothing more. A job whose files did not come it does not know, and
        a witness knows of none.
        """
        known = {row[0] for row in node.connection.execute("SELECT job_id FROM jobs")}
        expected = {what for what in told if job_of(what) in known or what.startswith(("decision ", "tombstone "))}
        return sorted(what for what in expected - self.small(node) if job_of(what) not in self.buried(node))

    def told(self) -> str:
        """What has not come to an end."""
        jobs = {asked.job_id: sorted(self.ends(asked.job_id)) for asked in self.client.asked}
        return f"jobs {jobs}, {len(self.digests())} different journals"

    def buried(self, node: VirtualDaemon) -> set[str]:
        """Jobs that the node knows to be removed."""
        return {row[0] for row in node.connection.execute("SELECT ref FROM shared_facts WHERE kind='tombstone'")}

    def told_others(self, node: VirtualDaemon) -> set[str]:
        """What others know to be on the node's disk."""
        query = (
            "SELECT kind || ' ' || ref FROM journal JOIN copies USING (seq) "
            "WHERE node=? AND kind IN ('job', 'result', 'decision')"
        )
        others = (one.connection for one in self.nodes if one is not node)
        copies = {str(row[0]) for connection in others for row in connection.execute(query, (node.node_id,))}
        return copies | self.said_done[node.host.name]

    def at_risk(self, dying: VirtualDaemon) -> int:
        """Units that are under way on the node, and those that were begun and whose result nobody has who lives on."""
        living = [node for node in self.nodes if node is not dying and node.host.process is not None]
        stored = set[str]().union(*map(_results, living))
        return len(_under_way(dying) | (self.begun.keys() - stored))

    def under_way(self) -> int:
        """Units that are under way now: a home that returns may take its job from who computes them for the moment."""
        living = [node for node in self.workers if node.host.process is not None]
        return len(set[UnitKey]().union(*map(_under_way, living)))

    def _hear(self, said_done: set[str], event: work_pb2.WorkEvent) -> None:
        if event.HasField("result"):
            said_done.add(f"result {event.result.key}/{result_hash(event.result.result)}")

    def _hear_answer(self, method: str, voter: VirtualDaemon, *, yes: bool) -> None:
        awaited = self._awaited.get(method)
        if yes and awaited is not None and not awaited.done():
            awaited.set_result(voter)

    def _takes_s(self, task: Task) -> float:
        self.begins.append((self.loop.time(), make_unit(task).key))
        return self.loop.chance.uniform(*UNIT_S)


def _results(node: VirtualDaemon) -> set[str]:
    return {str(row[0]) for row in node.connection.execute("SELECT unit_key FROM results")}


def _under_way(node: VirtualDaemon) -> set[UnitKey]:
    last = node.engines[-1:]  # none of a witness, or of a node that died while it started
    return {make_unit(task).key for engine in last for task in engine.begun if task not in engine.performed}


def job_of(what: str) -> str:
    """The job in the name of a thing, `<kind> <job>/...`."""
    return what.split()[1].split("/", maxsplit=1)[0]
