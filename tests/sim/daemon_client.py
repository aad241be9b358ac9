"""The client of a simulated cluster: asks for jobs until somebody takes them, and for their removal or adoption."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import grpc.aio
from tests.sim.daemon_cluster import submit
from tests.sim.daemon_work import DATA_TYPE, LAST

from realign_daemon.rpc.channels import Channel
from realign_daemon.testing.memory_grpc import open_channel
from realign_daemon.testing.memory_network import Network
from realign_daemon.testing.virtual_daemon import MODEL, VirtualDaemon
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1 import trust_pb2
from realign_proto.v1.curation_pb2_grpc import CurationStub
from realign_proto.v1.trust_pb2_grpc import TrustStub

TEXT = b"Sums are easy."
JOBS = (1, 1, 1, 1, 2)
UNITS = {1: (1, 2), 2: (1, 1)}  # drafts of a job, at least and at most, by the number of jobs; as many checks follow
SECOND_S = 3.0  # within which a second job comes
REMOVED = 0.1  # of the first jobs, as soon as they have ended
RETRY_S = 1.0
CALL_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A job that a client has got an answer for."""

    job_id: str
    request: str


class Client:
    """What it asked for, and what it was told."""

    def __init__(self, network: Network, workers: Sequence[VirtualDaemon]) -> None:
        """Boots the client's host."""
        self._loop = network.loop
        self._workers = workers
        self._host = network.host("client")
        self._host.boot()
        self.asked: list[Asked] = []
        self.refusal = ""  # of a submit or a removal, the last one
        self.removed: set[str] = set()  # jobs
        self.adopting: set[str] = set()  # jobs that a person wants another home for
        self.adopted_s: dict[str, float] = {}  # jobs that got one, and when somebody said so last

    def begin_jobs(self, *, may_remove: bool) -> list[asyncio.Task[None]]:
        """Each ends once somebody has taken its job, and has removed it if it is to be."""
        count = self._loop.chance.choice(JOBS)
        return [
            self._host.running.start(self._work(number, UNITS[count], removes=may_remove and not number))
            for number in range(count)
        ]

    async def transfer(self, to: VirtualDaemon) -> None:
        """Has the node lead, unless it does already."""
        async with self._channel(to) as channel:
            try:
                await TrustStub(channel).Transfer(trust_pb2.TransferRequest(node=to.host.name), timeout=CALL_S)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise

    async def adopt(self, job_id: str, by: VirtualDaemon, *, within_s: float) -> None:
        """Has the node, or who leads it, become the job's home, if it takes the old one for lost in that time."""
        self.adopting.add(job_id)
        end_s = self._loop.time() + within_s
        while self._loop.time() < end_s:
            await asyncio.sleep(RETRY_S)
            try:
                async with self._channel(by) as channel:
                    await CurationStub(channel).AdoptJob(pb.JobRef(job_id=job_id), timeout=CALL_S)
            except grpc.aio.AioRpcError:
                continue
            self.adopted_s[job_id] = self._loop.time()
            return

    async def _work(self, number: int, units: tuple[int, int], *, removes: bool) -> None:
        """Submits a job until somebody takes it, each time at any node."""
        chance = self._loop.chance
        await asyncio.sleep(chance.uniform(0, SECOND_S) if number else 0.0)
        request = f"job{number} {chance.randint(*units)}"
        removes = removes and chance.random() < REMOVED
        wanted = pb.JobRequest(
            text=request,
            data_type=DATA_TYPE,
            model=MODEL.name,
            until=LAST,
            settings={"pii": "keep"},
            client_token=request,
        )
        while True:
            try:
                job_id = await submit(self._host, chance.choice(self._workers), TEXT, wanted)
                break
            except grpc.aio.AioRpcError as error:
                await self._bear(error)
        self.asked.append(Asked(job_id=job_id, request=request))
        if removes:
            await self._remove(job_id)

    async def _remove(self, job_id: str) -> None:
        """Removes the job as soon as it has ended."""
        while not self._has_tombstone(job_id):  # it has one where only the answer was lost
            try:
                async with self._channel(self._loop.chance.choice(self._workers)) as channel:
                    await CurationStub(channel).RemoveJob(pb.JobRef(job_id=job_id), timeout=CALL_S)
                break
            except grpc.aio.AioRpcError as error:
                await self._bear(error)
        self.removed.add(job_id)

    def _has_tombstone(self, job_id: str) -> bool:
        query = "SELECT 1 FROM shared_facts WHERE kind='tombstone' AND ref=?"
        return any(node.connection.execute(query, (job_id,)).fetchone() for node in self._workers)

    async def _bear(self, error: grpc.aio.AioRpcError) -> None:
        self.refusal = error.details() or str(error.code())
        await asyncio.sleep(RETRY_S)

    @asynccontextmanager
    async def _channel(self, to: VirtualDaemon) -> AsyncGenerator[Channel]:
        channel = open_channel(self._host, to.address)
        try:
            yield channel
        finally:
            await channel.close()
