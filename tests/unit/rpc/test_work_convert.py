"""What a home says to a node that works for it, on the wire and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine.api import Generate, Message, ModelId, Sampler
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.rpc import work_convert
from realign_daemon.work.messages import Abandon, Assign, Command, Revoke
from realign_daemon.work.units import make_unit
from realign_proto.v1 import work_pb2 as pb

text = st.text(st.characters(codec="utf-8"), max_size=8)
count = st.integers(0, 2**32 - 1)
units = st.builds(
    Generate,
    model=text.map(ModelId),
    messages=st.builds(Message, role=st.just("user"), content=text).map(lambda one: (one,)),
    sampler=st.just(Sampler()),
    seed=count,
    template=text,
).map(make_unit)
wishes = st.builds(
    GroupWish,
    nodes=st.lists(text, max_size=3).map(tuple),
    backend=st.sampled_from(["ring", "jaccl"]),
    parallelism=st.sampled_from(["tensor", "pipeline", "data"]),
    split=st.lists(st.integers(1, 99), max_size=3).map(tuple),
)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        Assign,
        units=st.lists(units, max_size=2).map(tuple),
        model=text,
        home=text,
        group=st.none() | wishes,
        batch_size=count,
    ),
    st.builds(Revoke, count=count),
    st.just(Abandon()),
)


@given(commands)
def test_commands_come_back_as_they_went(command: Command) -> None:
    wire = pb.WorkCommand.FromString(work_convert.command_to_wire(command).SerializeToString())
    assert work_convert.command_from_wire(wire) == command


def test_a_home_of_an_older_version_says_nothing_of_the_batch_size() -> None:
    wire = pb.WorkCommand(assign=pb.Assign(model="m", home="h"))
    assert work_convert.command_from_wire(wire) == Assign(units=(), model="m", home="h")
