"""The cluster's values on the wire and back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.beats import Beat, JobDigest
from realign_daemon.cluster.facts import (
    BootId,
    Cable,
    HostBenchmark,
    KnownModel,
    MeasuredLink,
    MeasuredModel,
    NodeFacts,
    NodeId,
)
from realign_daemon.cluster.greeting import Greeting, Welcome
from realign_daemon.engine.api import BatchPoint, EngineStatus, GroupPart, ModelId, ModelShape
from realign_daemon.host.power import Power
from realign_daemon.host.sleep import Sleep
from realign_daemon.rpc import convert
from realign_proto.v1 import cluster_pb2, facts_pb2

text = st.text(st.characters(codec="utf-8"), max_size=12)
nodes = text.filter(bool).map(NodeId)
amount = st.floats(0, 1e15)
count = st.integers(0, 2**32 - 1)
size = st.integers(0, 2**64 - 1)
points = st.builds(BatchPoint, batch_size=count, decode_tps=amount, examples_per_s=amount)
measured = st.builds(
    MeasuredModel,
    model=text,
    model_sha256=text.map(ModelId),
    params_b=amount,
    bits=count,
    prefill_tps=amount,
    decode_tps=amount,
    peak_batch_size=count,
    examples_per_s=amount,
    points=st.lists(points, max_size=2).map(tuple),
    measured_at=text,
    noisy=st.booleans(),
)
benchmarks = st.builds(
    HostBenchmark,
    gflops=st.dictionaries(text, amount, max_size=2),
    bandwidth_gbs=amount,
    models=st.lists(measured, max_size=2).map(tuple),
    measured_at=text,
    version=text,
)
models = st.builds(
    KnownModel,
    name=text,
    sha256=text.map(ModelId),
    weight_bytes=size,
    params_b=amount,
    active_params_b=amount,
    bits=count,
    templates=st.just("standard"),
    shape=st.none()
    | st.builds(
        ModelShape,
        layers=count,
        heads=st.none() | st.integers(1, 128),
        kv_heads=st.none() | st.integers(1, 128),
        kv_values=count,
        tensor=st.none() | st.booleans(),
        pipeline=st.none() | st.booleans(),
    ),
)
engines = st.builds(
    EngineStatus,
    state=st.sampled_from(["absent", "starting", "ready", "busy", "benchmarking", "failed"]),
    model=text,
    pid=count,
    rss_bytes=size,
    last_error=text,
    group=st.none()
    | st.builds(
        GroupPart,
        group=text,
        rank=count,
        backend=text,
        parallelism=text,
        nodes=st.lists(text, max_size=3).map(tuple),
        lacks_reference=st.booleans(),
    ),
)
links = st.builds(
    MeasuredLink,
    node=nodes,
    latency_s=st.floats(0, 10, exclude_min=True),
    bytes_per_s=st.floats(0, 1e12, exclude_min=True),
)
powers = st.builds(
    Power, source=st.sampled_from(["ac", "battery", "unknown"]), battery_fraction=st.none() | st.floats(0, 1)
)


@st.composite
def beats(draw: st.DrawFn) -> Beat:
    node = draw(nodes)
    facts = NodeFacts(
        node_id=node,
        name=draw(text),
        version=draw(text),
        chip=draw(text),
        os=draw(text),
        memory_bytes=draw(size),
        usable_bytes=draw(size),
        free_bytes=draw(size),
        cpu_cores=draw(count),
        gpu_cores=draw(count),
        portable=draw(st.booleans()),
        power=draw(powers),
        duty_fraction=draw(st.floats(0, 1)),
        benchmark=draw(st.none() | benchmarks),
        engine=draw(engines),
        models=tuple(draw(st.lists(models, max_size=2))),
        paused=draw(st.booleans()),
        disk_free_bytes=draw(size),
        user_active=draw(st.booleans()),
        refusal=draw(text),
        pause_left_s=draw(st.none() | amount),
        last_sleep=draw(st.none() | st.builds(Sleep, slept_s=amount, woke_unix_s=amount)),
        protocol=draw(st.integers(0, 2**32 - 1)),
        features=draw(st.frozensets(text, max_size=2)),
        witness=draw(st.booleans()),
        links=tuple(draw(st.lists(links, max_size=2))),
        rdma=tuple(draw(st.lists(st.builds(Cable, device=text, domain=text, peer_domain=text), max_size=2))),
    )
    return Beat(
        node=node,
        boot=BootId(draw(text)),
        sequence=draw(size),
        term=draw(size),
        leader=draw(st.none() | nodes),
        leader_since_unix_s=draw(amount),
        facts=facts,
        jobs=tuple(JobDigest(job_id=job, state="running", home=node) for job in draw(st.lists(text, max_size=2))),
    )


@settings(max_examples=60)
@given(beat=beats())
def test_a_beat_arrives_as_it_was_sent(beat: Beat) -> None:
    wire = cluster_pb2.Beat.FromString(convert.beat_to_wire(beat).SerializeToString())

    assert convert.beat_from_wire(wire) == beat


def test_a_greeting_and_its_answer_arrive_as_they_were_sent() -> None:
    addresses = (Address(host="10.0.0.1", port=7411), Address(host="fd00::1", port=7411))
    greeting = Greeting(
        features=frozenset({"a"}), tag="t", node=NodeId("n"), name="m", version="1", addresses=addresses
    )
    welcome = Welcome(
        protocol=1,
        min_protocol=0,
        max_protocol=2,
        features=frozenset({"a"}),
        node=NodeId("n"),
        name="m",
        version="1",
        addresses=addresses,
    )

    assert convert.greeting_from_wire(convert.greeting_to_wire(greeting)) == greeting
    assert convert.welcome_from_wire(convert.welcome_to_wire(welcome)) == welcome


def test_a_node_that_does_not_say_what_it_speaks_speaks_what_it_chose() -> None:
    welcome = convert.welcome_from_wire(cluster_pb2.HelloReply(protocol=3))

    assert (welcome.min_protocol, welcome.max_protocol) == (3, 3)


def test_addresses_that_are_none_are_left_out() -> None:
    wire = cluster_pb2.HelloRequest(addresses=["127.0.0.1:9", "nonsense", "h:99999", ":1"])

    assert convert.greeting_from_wire(wire).addresses == (Address(host="127.0.0.1", port=9),)


def test_what_a_newer_node_says_and_this_one_does_not_know_is_unknown() -> None:
    wire = facts_pb2.NodeFacts(
        power=facts_pb2.Power(source="fusion"), engine=facts_pb2.EngineState(state="dreaming", model="m")
    )

    facts = convert.facts_from_wire(wire)

    assert facts.power == Power(source="unknown")
    assert facts.engine == EngineStatus(state="absent", model="m")


def test_a_node_speaks_only_for_itself_whatever_id_its_facts_carry() -> None:
    wire = cluster_pb2.Beat(node_id="me", facts=facts_pb2.NodeFacts(node_id="you"))

    assert convert.beat_from_wire(wire).facts.node_id == "me"
