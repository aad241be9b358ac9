"""A small cluster of whole daemons with jobs, as one seed has it, and what can be seen of it from outside."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc
import grpc.aio
from tests.sim.daemon_cluster import machines, submit
from tests.sim.daemon_work import DATA_TYPE, LAST, WORK

from realign_daemon.engine.api import Task
from realign_daemon.housekeeping.folders import MARK
from realign_daemon.journal import entries
from realign_daemon.journal.results import result_hash
from realign_daemon.testing.memory_grpc import open_channel
from realign_daemon.testing.memory_network import Network
from realign_daemon.testing.virtual_daemon import MODEL, VirtualDaemon
from realign_daemon.testing.virtual_loop import VirtualLoop
from realign_daemon.witness import Witness
from realign_daemon.work.units import UnitKey, make_unit
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1 import trust_pb2, work_pb2
from realign_proto.v1.trust_pb2_grpc import TrustStub

TEXT = b"Sums are easy."
SIZES = (*[2] * 14, *[3] * 5, 4)
WITNESSED = 0.25  # of the clusters of two, which are those that need one
JOBS = (1, 1, 1, 1, 2)
UNITS = {1: (1, 2), 2: (1, 1)}  # drafts of a job, at least and at most, by the number of jobs; as many checks follow
UNIT_S = (0.3, 1.2)
SECOND_S = 3.0  # within which a second job comes
RETRY_S = 1.0
TRANSFER_S = 3.0
FINAL = frozenset({"completed", "completed_with_errors", "failed", "blocked", "cancelled"})
ATTEND = "/realign.v1.Work/Attend"
PREPARE, ACCEPT = "/realign.v1.Decision/Prepare", "/realign.v1.Decision/Accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A job that a client has got an answer for."""

    job_id: str
    request: str


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
        self.asked: list[Asked] = []
        self.refusal = ""  # of a submit, the last one
        self.finals: dict[str, set[str]] = {}  # by job, every end that was given out as final
        self._looked_at: dict[str, int] = {}  # by host, the changes that its ledger had seen at the last look
        self.begins: list[tuple[float, UnitKey]] = []  # of units, anywhere, and when
        self.said_done = {node.host.name: set[str]() for node in self.nodes}  # results, by who told a home of them
        self._awaited: dict[str, asyncio.Future[VirtualDaemon]] = {}
        self._client = self.network.host("client")
        self._client.boot()
        for node in self.nodes:
            node.overheard = {
                ATTEND: partial(self._hear, self.said_done[node.host.name]),
                PREPARE: lambda reply, node=node: self._hear_answer(PREPARE, node, yes=reply.promised),
                ACCEPT: lambda reply, node=node: self._hear_answer(ACCEPT, node, yes=reply.accepted),
            }

    def begin_jobs(self) -> list[asyncio.Task[None]]:
        """Each ends once somebody has taken its job."""
        count = self.loop.chance.choice(JOBS)
        return [self._client.running.start(self._ask(number, UNITS[count])) for number in range(count)]

    def next_answer(self, method: str) -> asyncio.Future[VirtualDaemon]:
        """The next node that answers yes to PREPARE or ACCEPT, as soon as it does."""
        self._awaited[method] = self.loop.create_future()
        return self._awaited[method]

    async def transfer(self, to: VirtualDaemon) -> None:
        """Has the node lead, unless it does already."""
        channel = open_channel(self._client, to.address)
        request = trust_pb2.TransferRequest(node=to.host.name)
        try:
            await TrustStub(channel).Transfer(request, timeout=TRANSFER_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
        finally:
            await channel.close()

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
        are_final = all(map(self._is_final, self.asked))
        return are_final and len(self.digests()) == 1 and len(set(map(self.decisions, self.nodes))) == 1

    def _is_final(self, asked: Asked) -> bool:
        left = (self.outputs(node, asked.job_id, "provisional") for node in self.workers)
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
                self.finals.setdefault(job_id, set()).add(decision)

    def homes(self) -> set[str]:
        """Nodes that jobs are homed at."""
        query = "SELECT DISTINCT home FROM jobs"
        return {str(row[0]) for node in self.workers for row in node.connection.execute(query)}

    def jobs(self) -> int:
        """How many jobs there are, be it that nobody was told of them."""
        return len({row for node in self.nodes for row in node.connection.execute("SELECT job_id FROM jobs")})

    def digests(self) -> set[str]:
        """What all nodes hold, one text for each way of holding it."""
        return {str(sorted(entries.digests(node.connection).items())) for node in self.workers}

    def decisions(self, node: VirtualDaemon) -> frozenset[tuple[str, int, int, bytes]]:
        """What the node knows to be decided: job, instance, config epoch and value."""
        return frozenset(node.connection.execute("SELECT job_id, instance, config_epoch, value FROM decisions"))

    def told(self) -> str:
        """What has not come to an end."""
        jobs = {asked.job_id: sorted(self.ends(asked.job_id)) for asked in self.asked}
        return f"jobs {jobs}, {len(self.digests())} different journals"

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

    async def _ask(self, number: int, units: tuple[int, int]) -> None:
        """Submits a job until somebody takes it, each time at any node."""
        chance = self.loop.chance
        await asyncio.sleep(chance.uniform(0, SECOND_S) if number else 0.0)
        request = f"job{number} {chance.randint(*units)}"
        while True:
            wanted = pb.JobRequest(
                text=request,
                data_type=DATA_TYPE,
                model=MODEL.name,
                until=LAST,
                settings={"pii": "keep"},
                client_token=request,
            )
            try:
                job_id = await submit(self._client, chance.choice(self.workers), TEXT, wanted)
            except grpc.aio.AioRpcError as error:
                self.refusal = error.details() or str(error.code())
                await asyncio.sleep(RETRY_S)
            else:
                self.asked.append(Asked(job_id=job_id, request=request))
                return

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
