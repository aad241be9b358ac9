"""Neighbours: the living nodes of the cluster view, as jobs see them and reach them.

Witnesses do not count, save where it says members.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from math import log2

import grpc.aio

from realign_daemon.cluster.election import rank_of
from realign_daemon.cluster.facts import NodeFacts, NodeId
from realign_daemon.cluster.membership import PeerChanged
from realign_daemon.cluster.protocol import GROUPS
from realign_daemon.cluster.standing import MemberView
from realign_daemon.cluster.view import ClusterView
from realign_daemon.curation.colleague import Colleague, Holding
from realign_daemon.curation.replicas import Away
from realign_daemon.curation.spec import ModelPin
from realign_daemon.engine.api import ModelId
from realign_daemon.engine.supervisor import CHILD_BYTES
from realign_daemon.host.disk_room import WORK_FLOOR_BYTES
from realign_daemon.models.arrival import Arrived, Wanted
from realign_daemon.rpc.model_link import RemoteCopy, have_pulled
from realign_planner import nodes as planner
from realign_proto.v1 import cluster_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterStub

MEASURE_TIMEOUT_S = 120.0
TOLD_S = 15.0  # until a node's beat says what it has got
LEAST_ID = 6  # characters of a node id that tell two nodes of one name apart


class Neighbours:
    """See curation.colleague.Colleagues."""

    def __init__(self, view: ClusterView) -> None:
        self._view = view
        self._known: dict[tuple[NodeId, bool], tuple[NodeFacts, Colleague]] = {}  # asked for row by row

    def alive(self) -> tuple[Colleague, ...]:
        """This node first, then the others that are not suspected; nodes of one name get their id behind it."""
        members = [member for member in self._view.members() if member.state == "alive" and not member.facts.witness]
        names = Counter(member.facts.name for member in members)
        return tuple(self._colleague(member, is_unique=names[member.facts.name] == 1) for member in members)

    async def measure(self, node_id: str, model: str) -> None:
        """Has the node measure its speed with the model, so that `alive` says it. Raises ConnectionError."""
        channel = self._view.channel(NodeId(node_id))
        if channel is None:
            message = f"node {node_id} is not connected"
            raise ConnectionError(message)
        try:
            await ClusterStub(channel).Measure(cluster_pb2.MeasureRequest(model=model), timeout=MEASURE_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(error.details() or "the node can't be reached") from error
        name = model.lower()
        await self._until_told(node_id, lambda one: any(h.is_measured and h.name.lower() == name for h in one.holdings))

    async def fetch(self, node_id: str, pin: ModelPin) -> AsyncGenerator[Arrived]:
        """See Colleagues."""
        wanted = Wanted(name=pin.name, revision=pin.revision, model=pin.model)
        node = self.name_of(node_id)
        async with aclosing(have_pulled(self.node_channel(node_id), node=node, wanted=wanted)) as steps:
            async for arrived in steps:
                yield arrived
        await self._until_told(node_id, lambda one: one.has(pin))

    def copies(self, wanted: Wanted) -> tuple[RemoteCopy, ...]:
        """See models.pulls.Pulls: of what most nodes hold, from those with an idle engine first.

        Among these the fastest link goes first; where two are alike, within twice the other, a node on mains.
        """
        held: dict[ModelId, list[MemberView]] = {}
        for member in self._connected():
            for model in member.facts.models:
                named = model.name.lower() == wanted.name.lower() and wanted.revision in ("", model.revision)
                is_wanted = model.sha256 == wanted.model or (wanted.model is None and named)
                if is_wanted and not model.endpoint:  # the weights of those that servers have are nowhere
                    held.setdefault(model.sha256, []).append(member)
        if not held:
            return ()
        model = max(held, key=lambda model: (len(held[model]), model))
        own = next((member.facts.links for member in self._view.members() if member.is_self), ())
        octaves = {link.node: round(log2(link.bytes_per_s)) for link in own}  # what was not measured is taken for slow

        def order(one: MemberView) -> tuple[bool, int, bool]:
            is_busy = one.facts.engine.state == "busy"
            return is_busy, -octaves.get(one.node, 0), one.facts.power.source != "ac"

        return tuple(
            RemoteCopy(node=one.facts.name, model=model, channel=partial(self._view.channel, one.node))
            for one in sorted(held[model], key=order)
        )

    async def changes(self) -> AsyncIterator[object]:
        """An item whenever a node has come, gone, or is led by another."""
        async for event in self._view.subscribe():
            if not isinstance(event, PeerChanged):
                yield event

    def leader_channel(self) -> grpc.aio.Channel | None:
        """The leader's channel; None when this node leads or nobody does yet."""
        leader = self._view.leader
        return None if leader is None or self._view.leads else self._view.channel(leader)

    def home_channel(self, job_id: str) -> grpc.aio.Channel | None:
        """The channel of the node that has a job of this id or beginning; None when it is here or nowhere."""
        for member in self._connected():  # a lost home's jobs may run at another node
            if any(job.job_id.startswith(job_id) for job in member.jobs):
                return self._view.channel(member.node)
        return None

    def named_channel(self, node: str) -> grpc.aio.Channel | None:
        """The channel of the node of this name or id; None when there is none, or it is not connected."""
        for member in self._view.others():
            if node in (member.facts.name, member.node):
                return self._view.channel(member.node)
        return None

    def other_nodes(self) -> tuple[NodeId, ...]:
        """The ids of all other living nodes that are connected."""
        return tuple(member.node for member in self._connected() if not member.facts.witness)

    def other_members(self) -> tuple[NodeId, ...]:
        """Those, and the witnesses."""
        return tuple(member.node for member in self._connected())

    def node_channel(self, node: str) -> grpc.aio.Channel | None:
        """The channel of the node of this id; None when it is not connected."""
        return self._view.channel(NodeId(node))

    def host_of(self, node: str) -> str:
        """The host at which another node is connected; "" when it is not."""
        address = self._view.address(NodeId(node))
        return address.host if address else ""

    def away(self, node: str, *, now_unix_s: float) -> Away | None:
        """What is known of a node that is not connected; None for one that is."""
        member = next((member for member in self._view.members() if member.node == node), None)
        if member is None:
            return Away(name=node[:LEAST_ID], heard_unix_s=None)
        if member.is_self or (member.state == "alive" and self._view.channel(member.node) is not None):
            return None
        return Away(name=member.facts.name, heard_unix_s=now_unix_s - member.silent_s)

    def lost(self, node: str, *, now_unix_s: float) -> Away | None:
        """What is known of a node that is given up, or was never heard; None for any other."""
        member = next((member for member in self._view.members() if member.node == node), None)
        return None if member is not None and member.state != "dead" else self.away(node, now_unix_s=now_unix_s)

    def name_of(self, node: str) -> str:
        """What people call the node: the beginning of its id where it was never heard."""
        return next((member.facts.name for member in self._view.members() if member.node == node), node[:LEAST_ID])

    def living(self) -> tuple[str, ...]:
        """The ids of all members that are not suspected, this one and witnesses among them, in order."""
        return tuple(sorted(member.node for member in self._view.members() if member.state == "alive"))

    def fittest(self) -> str:
        """The id of the living node that should be home to a job that this one can read: the steadiest, then fastest.

        It has all features that this node has, whatever its protocol: that older nodes lead during an upgrade says
        nothing of a job. One that is paused is taken where there is no other.
        """
        members = self._view.members()
        own = next(member.facts for member in members if member.is_self)
        living = [member.facts for member in members if member.state == "alive" and not member.facts.witness]
        able = [facts for facts in living if facts.features >= own.features]
        return min(able, key=lambda facts: (facts.paused, replace(rank_of(facts), protocol=own.protocol))).node_id

    def other_channels(self) -> tuple[grpc.aio.Channel, ...]:
        """Channels of all other living nodes."""
        return self._channels(self.other_nodes())

    def member_channels(self) -> tuple[grpc.aio.Channel, ...]:
        """Those, and the ones of the witnesses."""
        return self._channels(self.other_members())

    async def _until_told(self, node_id: str, has_said: Callable[[Colleague], bool]) -> None:
        """Returns when a beat of the node says so, or after a while: whoever asked asks again, or does without."""
        told = self._view.subscribe()
        with suppress(TimeoutError):
            async with asyncio.timeout(TOLD_S):
                while not any(one.node_id == node_id and has_said(one) for one in self.alive()):
                    await anext(told)

    def _connected(self) -> list[MemberView]:
        living = [member for member in self._view.others() if member.state == "alive"]
        return [member for member in living if self._view.channel(member.node) is not None]

    def _colleague(self, member: MemberView, *, is_unique: bool) -> Colleague:
        """As of the facts that the member gave last."""
        known = self._known.get((member.node, is_unique))
        if known is None or known[0] != member.facts:
            known = member.facts, _colleague(member, is_unique=is_unique)
            self._known[member.node, is_unique] = known
        return known[1]

    def _channels(self, nodes: Iterable[NodeId]) -> tuple[grpc.aio.Channel, ...]:
        return tuple(channel for node in nodes if (channel := self._view.channel(node)) is not None)


def _colleague(member: MemberView, *, is_unique: bool) -> Colleague:
    facts = planner_facts(member.facts)
    benchmark, group = member.facts.benchmark, member.facts.engine.group
    measured = {model.model_sha256 for model in (benchmark.models if benchmark else ())}
    return Colleague(
        node_id=member.node,
        facts=facts if is_unique else replace(facts, name=f"{facts.name}-{member.node[:LEAST_ID].lower()}"),
        holdings=tuple(
            Holding(
                name=model.name,
                model=model.sha256,
                params_b=model.params_b,
                active_params_b=model.active_params_b,
                bits=model.bits,
                weight_bytes=model.weight_bytes,
                templates=model.templates,
                is_measured=model.sha256 in measured,
                revision=model.revision,
                shape=model.shape,
                endpoint=model.endpoint,
                remote=model.remote,
            )
            for model in member.facts.models
        ),
        is_self=member.is_self,
        links=member.facts.links,
        rdma=member.facts.rdma,
        knows_groups=GROUPS in member.facts.features,
        unvouched=member.facts.engine.model if group is not None and group.lacks_reference else "",
        room_bytes=max(0, member.facts.disk_free_bytes - WORK_FLOOR_BYTES),
    )


def planner_facts(facts: NodeFacts) -> planner.NodeFacts:
    """A node's facts as the planner reads them. A measurement has the duty fraction in it, the planner's has not.

    What the engine holds counts as free: it may well be the very model that is planned for, and goes for any other. But
    for what its process takes besides a model: a node wants that, too, before it loads one.
    """
    benchmark = facts.benchmark
    served = {model.sha256 for model in facts.models if model.endpoint}
    measured = benchmark.models if benchmark else ()
    models = [model for model in measured if model.model_sha256 not in served]
    return planner.NodeFacts(
        name=facts.name,
        chip=facts.chip,
        memory_bytes=facts.memory_bytes,
        usable_bytes=facts.usable_bytes,
        free_bytes=max(0, min(facts.free_bytes + facts.engine.rss_bytes, facts.memory_bytes) - CHILD_BYTES)
        if facts.free_bytes
        else None,
        gpu_cores=facts.gpu_cores or None,
        gflops=max(benchmark.gflops.values(), default=None) if benchmark else None,
        bandwidth=benchmark.bandwidth_gbs * 1e9 if benchmark and benchmark.bandwidth_gbs else None,
        peak_batch_size=max((model.peak_batch_size for model in models), default=None),
        measured=tuple(
            planner.SpeedMeasurement(
                params_b=model.params_b, examples_per_s=model.examples_per_s / facts.duty_fraction, model=model.model
            )
            for model in models
        ),
        servers=tuple(
            planner.ServerMeasurement(
                model=model.model, examples_per_s=model.examples_per_s, concurrency=model.peak_batch_size
            )
            for model in measured
            if model.model_sha256 in served
        ),
        duty_fraction=facts.duty_fraction,
        portable=facts.portable,
        paused=facts.paused,
        on_disk=tuple(
            planner.ModelOnDisk(name=model.name, repo=model.name if "/" in model.name else None, bits=model.bits)
            for model in facts.models
        ),
    )
