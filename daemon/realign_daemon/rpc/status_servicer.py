"""Status servicer: tells a client what goes on, as this node sees it."""
# ruff: noqa: ARG002 - gRPC passes a request and a context to every method

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc.aio

from realign_daemon.cluster.facts import NodeFacts
from realign_daemon.cluster.standing import MemberView
from realign_daemon.cluster.view import ClusterView
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.convert import benchmark_to_wire, engine_to_wire, facts_to_wire, power_to_wire
from realign_proto.v1 import status_pb2
from realign_proto.v1.status_pb2_grpc import StatusServicer as StatusService
from realign_proto.v1.status_pb2_grpc import add_StatusServicer_to_server


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """How far a job is. `eta_s` is None while nothing was measured."""

    job_id: str
    state: str
    stage: str
    stages_total: int
    units_done: int
    units_total: int
    examples_per_s: float
    eta_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStatus:
    """What only this node knows of itself, beside its facts."""

    data_dir: Path
    uptime_s: float
    jobs: tuple[JobProgress, ...] = ()
    ledger_rows: int = 0  # unit results on this node
    under_replicated: int = 0  # results with fewer copies than wanted
    lacks_room: bool = False  # results or files of other nodes wait for room on this disk
    does_work: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchProgress:
    """What is being measured; with the facts once it ends."""

    text: str
    facts: NodeFacts | None = None


LocalStatusNow = Callable[[], LocalStatus]
Bench = Callable[[str, bool], AsyncIterator[BenchProgress]]  # registry name or "" for the pocket model, force


class StatusServicer(StatusService):
    """Thin: collects and converts."""

    def __init__(self, view: ClusterView, local: LocalStatusNow, bench: Bench) -> None:
        self._view = view
        self._local = local
        self._bench = bench

    def add_to(self, server: grpc.aio.Server) -> None:
        """Makes the server answer with this."""
        add_StatusServicer_to_server(self, server)

    async def GetStatus(  # noqa: N802 - the wire's name
        self, request: status_pb2.StatusRequest, context: Context
    ) -> status_pb2.NodeStatus:
        """Everything at once; asks no other node."""
        local = self._local()
        members = self._view.members()
        facts = members[0].facts
        leader = self._view.leadership()
        return status_pb2.NodeStatus(
            node=_identity(members[0], local, leads=self._view.leads, features=self._view.features),
            leader=status_pb2.Leader(
                id=leader.node or "", name=leader.name, term=leader.term, since_unix_s=leader.since_unix_s
            ),
            members=[self._member(member) for member in members],
            benchmark=benchmark_to_wire(facts.benchmark) if facts.benchmark else None,
            engine=engine_to_wire(facts.engine),
            jobs=[_job(job) for job in local.jobs],
            ledger=status_pb2.LedgerState(
                rows=local.ledger_rows, under_replicated=local.under_replicated, lacks_room=local.lacks_room
            ),
            disk=status_pb2.Disk(free_bytes=facts.disk_free_bytes),
            power=power_to_wire(facts.power),
            refused=[
                status_pb2.Refused(address=str(one.address or ""), reason=one.reason) for one in self._view.refused()
            ],
        )

    def _member(self, member: MemberView) -> status_pb2.Member:
        return status_pb2.Member(
            id=member.node,
            name=member.facts.name,
            state=member.state,
            last_seen_s=member.silent_s,
            addresses=[str(address) for address in member.addresses],
            version=member.facts.version,
            facts=facts_to_wire(member.facts),
            dials_here=None if member.is_self else self._view.dials_here(member.node),
            is_dialled=None if member.is_self else self._view.channel(member.node) is not None,
        )

    async def Bench(  # noqa: N802 - the wire's name
        self, request: status_pb2.BenchRequest, context: Context
    ) -> AsyncIterator[status_pb2.BenchEvent]:
        """Measures and reports as it goes; the last message carries the facts."""
        async for progress in self._bench(request.model, request.force):
            facts = facts_to_wire(progress.facts) if progress.facts else None
            yield status_pb2.BenchEvent(text=progress.text, facts=facts)


def _identity(me: MemberView, local: LocalStatus, *, leads: bool, features: frozenset[str]) -> status_pb2.NodeIdentity:
    roles = (("leader", leads), ("worker", local.does_work), ("witness", me.facts.witness))
    return status_pb2.NodeIdentity(
        id=me.node,
        name=me.facts.name,
        version=me.facts.version,
        protocol=me.facts.protocol,
        chip=me.facts.chip,
        memory_bytes=me.facts.memory_bytes,
        uptime_s=local.uptime_s,
        roles=[role for role, holds in roles if holds],
        data_dir=str(local.data_dir),
        addresses=[str(address) for address in me.addresses],
        features=sorted(features),
    )


def _job(job: JobProgress) -> status_pb2.JobProgress:
    return status_pb2.JobProgress(
        id=job.job_id,
        state=job.state,
        stage=job.stage,
        stages_total=job.stages_total,
        units_done=job.units_done,
        units_total=job.units_total,
        examples_per_s=job.examples_per_s,
        eta_s=job.eta_s,
    )
