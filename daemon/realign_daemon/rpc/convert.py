"""Conversion between the cluster's values and their protobuf messages. Pure.

What a newer node says that this one does not know is read as unknown, never as an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.beats import Beat, JobDigest, KnownPeer
from realign_daemon.cluster.facts import (
    BootId,
    HostBenchmark,
    KnownModel,
    MeasuredLink,
    MeasuredModel,
    NodeFacts,
    NodeId,
)
from realign_daemon.cluster.greeting import Greeting, Welcome
from realign_daemon.engine.api import BatchPoint, EngineStatus, ModelId, ModelShape
from realign_daemon.host.power import Power, PowerSource
from realign_daemon.host.sleep import Sleep
from realign_daemon.rpc.group_convert import cables_from_wire, part_from_wire, part_to_wire
from realign_proto.v1 import cluster_pb2, facts_pb2

MAX_PEERS = 64  # that one node may tell of
MAX_ADDRESSES = 32  # of one node; more is nonsense or an attack
POWER_SOURCES: Mapping[str, PowerSource] = {"ac": "ac", "battery": "battery"}
ENGINE_STATES: Mapping[str, Literal["absent", "starting", "ready", "busy", "benchmarking", "failed"]] = {
    "absent": "absent",
    "starting": "starting",
    "ready": "ready",
    "busy": "busy",
    "benchmarking": "benchmarking",
    "failed": "failed",
}


def facts_to_wire(facts: NodeFacts) -> facts_pb2.NodeFacts:
    """A node's facts."""
    sleep = facts.last_sleep
    return facts_pb2.NodeFacts(
        node_id=facts.node_id,
        name=facts.name,
        version=facts.version,
        chip=facts.chip,
        os=facts.os,
        memory_bytes=facts.memory_bytes,
        usable_bytes=facts.usable_bytes,
        free_bytes=facts.free_bytes,
        cpu_cores=facts.cpu_cores,
        gpu_cores=facts.gpu_cores,
        portable=facts.portable,
        power=power_to_wire(facts.power),
        duty_fraction=facts.duty_fraction,
        benchmark=benchmark_to_wire(facts.benchmark) if facts.benchmark else None,
        engine=engine_to_wire(facts.engine),
        models=[
            facts_pb2.LocalModel(
                name=model.name,
                sha256=model.sha256,
                weight_bytes=model.weight_bytes,
                params_b=model.params_b,
                active_params_b=model.active_params_b,
                bits=model.bits,
                templates=model.templates,
                revision=model.revision,
                shape=shape_to_wire(model.shape) if model.shape else None,
                endpoint=model.endpoint,
                remote=model.remote,
            )
            for model in facts.models
        ],
        paused=facts.paused,
        disk_free_bytes=facts.disk_free_bytes,
        user_active=facts.user_active,
        refusal=facts.refusal,
        pause_left_s=facts.pause_left_s,
        last_sleep=facts_pb2.MachineSleep(slept_s=sleep.slept_s, woke_unix_s=sleep.woke_unix_s) if sleep else None,
        protocol=facts.protocol,
        features=sorted(facts.features),
        witness=facts.witness,
        links=[
            facts_pb2.MeasuredLink(node_id=link.node, latency_s=link.latency_s, bytes_per_s=link.bytes_per_s)
            for link in facts.links
        ],
        rdma=[
            facts_pb2.RdmaPort(device=cable.device, domain=cable.domain, peer_domain=cable.peer_domain)
            for cable in facts.rdma
        ],
    )


def facts_from_wire(wire: facts_pb2.NodeFacts) -> NodeFacts:
    """A node's facts."""
    return NodeFacts(
        node_id=NodeId(wire.node_id),
        name=wire.name,
        version=wire.version,
        chip=wire.chip,
        os=wire.os,
        memory_bytes=wire.memory_bytes,
        usable_bytes=wire.usable_bytes,
        free_bytes=wire.free_bytes,
        cpu_cores=wire.cpu_cores,
        gpu_cores=wire.gpu_cores,
        portable=wire.portable,
        power=_power_from_wire(wire.power),
        duty_fraction=wire.duty_fraction,
        benchmark=_benchmark_from_wire(wire.benchmark) if wire.HasField("benchmark") else None,
        engine=_engine_from_wire(wire.engine),
        models=tuple(
            KnownModel(
                name=model.name,
                sha256=ModelId(model.sha256),
                weight_bytes=model.weight_bytes,
                params_b=model.params_b,
                active_params_b=model.active_params_b,
                bits=model.bits,
                templates=model.templates or "standard",
                revision=model.revision,
                shape=_shape_from_wire(model.shape) if model.HasField("shape") else None,
                endpoint=model.endpoint,
                remote=model.remote,
            )
            for model in wire.models
        ),
        paused=wire.paused,
        disk_free_bytes=wire.disk_free_bytes,
        user_active=wire.user_active,
        refusal=wire.refusal,
        pause_left_s=wire.pause_left_s if wire.HasField("pause_left_s") else None,
        last_sleep=Sleep(slept_s=wire.last_sleep.slept_s, woke_unix_s=wire.last_sleep.woke_unix_s)
        if wire.HasField("last_sleep")
        else None,
        protocol=wire.protocol,
        features=frozenset(wire.features),
        witness=wire.witness,
        links=tuple(
            MeasuredLink(node=NodeId(link.node_id), latency_s=link.latency_s, bytes_per_s=link.bytes_per_s)
            for link in wire.links
            if link.latency_s > 0 and link.bytes_per_s > 0
        ),
        rdma=cables_from_wire(wire.rdma),
    )


def shape_to_wire(shape: ModelShape) -> facts_pb2.ModelShape:
    """What divides a model."""
    return facts_pb2.ModelShape(
        layers=shape.layers,
        heads=shape.heads or 0,
        kv_heads=shape.kv_heads or 0,
        kv_values=shape.kv_values,
        tensor=shape.tensor,
        pipeline=shape.pipeline,
    )


def power_to_wire(power: Power) -> facts_pb2.Power:
    """Where the electricity comes from."""
    return facts_pb2.Power(source=power.source, battery_fraction=power.battery_fraction)


def engine_to_wire(engine: EngineStatus) -> facts_pb2.EngineState:
    """What the engine child does."""
    return facts_pb2.EngineState(
        state=engine.state,
        model=engine.model,
        pid=engine.pid,
        rss_bytes=engine.rss_bytes,
        last_error=engine.last_error,
        group=part_to_wire(engine.group) if engine.group else None,
    )


def benchmark_to_wire(benchmark: HostBenchmark) -> facts_pb2.HostBenchmark:
    """What was measured on a machine."""
    return facts_pb2.HostBenchmark(
        gflops=benchmark.gflops,
        bandwidth_gbs=benchmark.bandwidth_gbs,
        models=[_measured_to_wire(model) for model in benchmark.models],
        measured_at=benchmark.measured_at,
        version=benchmark.version,
    )


def beat_to_wire(beat: Beat) -> cluster_pb2.Beat:
    """A beat."""
    return cluster_pb2.Beat(
        node_id=beat.node,
        sequence=beat.sequence,
        boot_id=beat.boot,
        term=beat.term,
        leader=beat.leader or "",
        leader_since_unix_s=beat.leader_since_unix_s,
        facts=facts_to_wire(beat.facts),
        jobs=[cluster_pb2.JobDigest(job_id=job.job_id, state=job.state, home=job.home) for job in beat.jobs],
        peers=[
            cluster_pb2.KnownPeer(node_id=peer.node, addresses=[str(address) for address in peer.addresses])
            for peer in beat.peers
        ],
    )


def beat_from_wire(wire: cluster_pb2.Beat) -> Beat:
    """A beat. Its facts are the sender's own, whatever id they carry."""
    facts = facts_from_wire(wire.facts)
    return Beat(
        node=NodeId(wire.node_id),
        boot=BootId(wire.boot_id),
        sequence=wire.sequence,
        term=wire.term,
        leader=NodeId(wire.leader) if wire.leader else None,
        leader_since_unix_s=wire.leader_since_unix_s,
        facts=facts if facts.node_id == wire.node_id else replace(facts, node_id=NodeId(wire.node_id)),
        jobs=tuple(JobDigest(job_id=job.job_id, state=job.state, home=NodeId(job.home)) for job in wire.jobs),
        peers=tuple(
            KnownPeer(node=NodeId(peer.node_id), addresses=_addresses(peer.addresses))
            for peer in wire.peers[:MAX_PEERS]
        ),
    )


def greeting_to_wire(greeting: Greeting) -> cluster_pb2.HelloRequest:
    """A Hello."""
    return cluster_pb2.HelloRequest(
        min_protocol=greeting.min_protocol,
        max_protocol=greeting.max_protocol,
        features=sorted(greeting.features),
        cluster_tag=greeting.tag,
        node_id=greeting.node,
        name=greeting.name,
        version=greeting.version,
        addresses=[str(address) for address in greeting.addresses],
    )


def greeting_from_wire(wire: cluster_pb2.HelloRequest) -> Greeting:
    """A Hello; addresses that are none are left out."""
    return Greeting(
        min_protocol=wire.min_protocol,
        max_protocol=wire.max_protocol,
        features=frozenset(wire.features),
        tag=wire.cluster_tag,
        node=NodeId(wire.node_id),
        name=wire.name,
        version=wire.version,
        addresses=_addresses(wire.addresses),
    )


def welcome_to_wire(welcome: Welcome) -> cluster_pb2.HelloReply:
    """The answer to a Hello."""
    return cluster_pb2.HelloReply(
        protocol=welcome.protocol,
        min_protocol=welcome.min_protocol,
        max_protocol=welcome.max_protocol,
        features=sorted(welcome.features),
        node_id=welcome.node,
        name=welcome.name,
        version=welcome.version,
        addresses=[str(address) for address in welcome.addresses],
    )


def welcome_from_wire(wire: cluster_pb2.HelloReply) -> Welcome:
    """The answer to a Hello."""
    return Welcome(
        protocol=wire.protocol,
        min_protocol=wire.min_protocol if wire.HasField("min_protocol") else wire.protocol,
        max_protocol=wire.max_protocol if wire.HasField("max_protocol") else wire.protocol,
        features=frozenset(wire.features),
        node=NodeId(wire.node_id),
        name=wire.name,
        version=wire.version,
        addresses=_addresses(wire.addresses),
    )


def _addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    found: list[Address] = []
    for text in tuple(texts)[:MAX_ADDRESSES]:
        try:
            found.append(Address.parse(text))
        except ValueError:
            continue
    return tuple(found)


def _shape_from_wire(wire: facts_pb2.ModelShape) -> ModelShape:
    return ModelShape(
        layers=wire.layers,
        heads=wire.heads or None,
        kv_heads=wire.kv_heads or None,
        kv_values=wire.kv_values,
        tensor=wire.tensor if wire.HasField("tensor") else None,
        pipeline=wire.pipeline if wire.HasField("pipeline") else None,
    )


def _power_from_wire(wire: facts_pb2.Power) -> Power:
    source = POWER_SOURCES.get(wire.source, "unknown")
    return Power(source=source, battery_fraction=wire.battery_fraction if wire.HasField("battery_fraction") else None)


def _engine_from_wire(wire: facts_pb2.EngineState) -> EngineStatus:
    state = ENGINE_STATES.get(wire.state, "absent")
    return EngineStatus(
        state=state,
        model=wire.model,
        pid=wire.pid,
        rss_bytes=wire.rss_bytes,
        last_error=wire.last_error,
        group=part_from_wire(wire.group) if wire.HasField("group") else None,
    )


def _benchmark_from_wire(wire: facts_pb2.HostBenchmark) -> HostBenchmark:
    return HostBenchmark(
        gflops=dict(wire.gflops),
        bandwidth_gbs=wire.bandwidth_gbs,
        models=tuple(_measured_from_wire(model) for model in wire.models),
        measured_at=wire.measured_at,
        version=wire.version,
    )


def _measured_to_wire(model: MeasuredModel) -> facts_pb2.ModelBenchmark:
    return facts_pb2.ModelBenchmark(
        model=model.model,
        model_sha256=model.model_sha256,
        params_b=model.params_b,
        bits=model.bits,
        prefill_tps=model.prefill_tps,
        decode_tps=model.decode_tps,
        peak_batch_size=model.peak_batch_size,
        examples_per_s=model.examples_per_s,
        points=[
            facts_pb2.BatchPoint(
                batch_size=point.batch_size, decode_tps=point.decode_tps, examples_per_s=point.examples_per_s
            )
            for point in model.points
        ],
        measured_at=model.measured_at,
        noisy=model.noisy,
    )


def _measured_from_wire(wire: facts_pb2.ModelBenchmark) -> MeasuredModel:
    return MeasuredModel(
        model=wire.model,
        model_sha256=ModelId(wire.model_sha256),
        params_b=wire.params_b,
        bits=wire.bits,
        prefill_tps=wire.prefill_tps,
        decode_tps=wire.decode_tps,
        peak_batch_size=wire.peak_batch_size,
        examples_per_s=wire.examples_per_s,
        points=tuple(
            BatchPoint(batch_size=point.batch_size, decode_tps=point.decode_tps, examples_per_s=point.examples_per_s)
            for point in wire.points
        ),
        measured_at=wire.measured_at,
        noisy=wire.noisy,
    )
