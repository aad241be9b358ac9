"""What the head of a group and its other nodes say to each other, on the wire and back."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine.api import ModelId
from realign_daemon.engine.ranks import Beat, CanaryTaken, Formed, Gather, GroupWish, Holding
from realign_daemon.groups.messages import (
    Cable,
    Command,
    Ended,
    Event,
    Gathered,
    HeadLives,
    Prepare,
    Prepared,
    Start,
    Started,
    Stop,
    Wanted,
)
from realign_daemon.rpc import group_convert, work_convert
from realign_daemon.work.messages import GroupLoss, GroupLost, Returned
from realign_daemon.work.units import UnitKey
from realign_proto.v1 import groups_pb2 as pb
from realign_proto.v1 import work_pb2

text = st.text(st.characters(codec="utf-8"), max_size=8)
texts = st.lists(text, max_size=3).map(tuple)
count = st.integers(0, 2**32 - 1)
size = st.integers(0, 2**64 - 1)
figures = st.floats(-100.0, 0.0).map(lambda one: struct.unpack("f", struct.pack("f", one))[0])
logprobs = st.lists(st.lists(figures, max_size=3).map(tuple), max_size=3).map(tuple)
backends = st.sampled_from(["ring", "jaccl"])
parallelisms = st.sampled_from(["tensor", "pipeline", "data"])
splits = st.lists(st.integers(1, 99), max_size=3).map(tuple)
prepares = st.builds(
    Prepare,
    group=text,
    nodes=st.lists(text, min_size=2, max_size=4).map(tuple),
    rank=st.integers(0, 1),
    backend=backends,
    parallelism=parallelisms,
    split=st.just(()),
    model=text,
    model_id=text.map(ModelId),
    mlx=text,
    batch_size=count,
) | st.builds(
    Prepare,
    group=text,
    nodes=st.just(("a", "b")),
    rank=st.integers(0, 1),
    backend=backends,
    parallelism=parallelisms,
    split=st.lists(st.integers(1, 99), min_size=2, max_size=2).map(tuple),
    model=text,
    model_id=text.map(ModelId),
    mlx=text,
    batch_size=count,
)
starts = st.builds(
    Start,
    hosts=st.lists(texts, max_size=3).map(tuple),
    devices=st.lists(st.lists(texts, max_size=2).map(tuple), max_size=2).map(tuple),
)
commands: st.SearchStrategy[Command] = st.one_of(
    prepares,
    starts,
    st.builds(Gathered, parts=st.binary(max_size=8)),
    st.just(HeadLives()),
    st.builds(Stop, distrusts=st.booleans()),
)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        Prepared,
        address=text,
        reference=logprobs,
        cables=st.lists(st.builds(Cable, device=text, domain=text, peer_domain=text), max_size=2).map(tuple),
    ),
    st.builds(Started, pid=count),
    st.just(Formed()),
    st.builds(Beat, steps=size, busy=st.booleans()),
    st.builds(Gather, data=st.binary(max_size=8)),
    st.builds(Holding, active_bytes=size, weight_bytes=size),
    st.builds(CanaryTaken, request=count, logprobs=logprobs),
    st.just(Wanted()),
    st.builds(Ended, cause=text, is_refusal=st.booleans()),
)
wishes = st.builds(GroupWish, nodes=texts, backend=backends, parallelism=parallelisms, split=splits)
losses = st.builds(GroupLoss, wish=wishes, group=text, lost=texts, cause=text, thrown_away=size, worked=st.booleans())


@given(commands)
def test_commands_come_back_as_they_went(command: Command) -> None:
    wire = pb.GroupCommand.FromString(group_convert.command_to_wire(command).SerializeToString())
    assert group_convert.command_from_wire(wire) == command


@given(events)
def test_events_come_back_as_they_went(event: Event) -> None:
    wire = pb.GroupEvent.FromString(group_convert.event_to_wire(event).SerializeToString())
    assert group_convert.event_from_wire(wire) == event


@given(losses, texts)
def test_a_lost_group_comes_back_as_it_went(loss: GroupLoss, keys: tuple[str, ...]) -> None:
    event = GroupLost(keys=tuple(map(UnitKey, keys)), loss=loss)
    wire = work_pb2.WorkEvent.FromString(work_convert.event_to_wire(event).SerializeToString())
    assert work_convert.event_from_wire(wire) == event


def test_units_of_a_kind_of_group_that_is_not_known_just_come_back() -> None:
    wire = work_pb2.WorkEvent(
        group_lost=work_pb2.GroupLost(keys=["k"], wish=work_pb2.GroupWish(backend="telepathy", parallelism="tensor"))
    )
    assert work_convert.event_from_wire(wire) == Returned(keys=(UnitKey("k"),))


@pytest.mark.parametrize(
    "asked",
    [
        pb.PrepareRank(nodes=["a", "b"], backend="telepathy", parallelism="tensor"),
        pb.PrepareRank(nodes=["a", "b"], backend="ring", parallelism="magic"),
        pb.PrepareRank(nodes=["a", "b"], rank=2, backend="ring", parallelism="tensor"),
        pb.PrepareRank(nodes=["a"], backend="ring", parallelism="tensor"),
        pb.PrepareRank(nodes=["a", "b"], backend="ring", parallelism="pipeline", split=[3]),
        pb.PrepareRank(nodes=["a", "b"], backend="ring", parallelism="pipeline", split=[3, 0]),
        pb.PrepareRank(nodes=["a"] * 1000, backend="ring", parallelism="tensor"),
    ],
)
def test_what_is_no_rank_is_refused(asked: pb.PrepareRank) -> None:
    with pytest.raises(ValueError, match=r"is none|gives not each|no backend|cannot be divided|cannot divide"):
        group_convert.command_from_wire(pb.GroupCommand(prepare=asked))
