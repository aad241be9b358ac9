"""Neighbours: whom jobs see, and whom they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from realign_daemon.cluster.facts import KnownModel, MeasuredLink, NodeFacts, NodeId
from realign_daemon.cluster.membership import MemberState
from realign_daemon.cluster.standing import MemberView
from realign_daemon.curation.replicas import Away
from realign_daemon.engine.api import EngineStatus, ModelId
from realign_daemon.engine.supervisor import CHILD_BYTES
from realign_daemon.host.power import Power
from realign_daemon.models.arrival import Wanted
from realign_daemon.rpc.neighbours import Neighbours, planner_facts

NOW = 1_800_000_000.0

GB = 10**9


def member(name: str, state: MemberState = "alive", *, witness: bool = False) -> MemberView:
    node = NodeId(name)
    facts = NodeFacts(node_id=node, name=name, witness=witness)
    is_self = name == "me"
    return MemberView(node=node, state=state, silent_s=0.0, addresses=(), facts=facts, jobs=(), is_self=is_self)


class View:
    """Of these nodes; those that are not dead have a channel, which is their name."""

    def __init__(self, *members: MemberView) -> None:
        self._members = members

    def members(self) -> tuple[MemberView, ...]:
        return self._members

    def others(self) -> tuple[MemberView, ...]:
        return tuple(member for member in self._members if not member.is_self)

    def channel(self, node: NodeId) -> str | None:
        return None if node == "lost" else node


def test_a_home_is_lost_when_it_is_given_up_or_was_never_heard_and_not_while_it_is_only_suspected() -> None:
    view = View(member("me"), member("late", "suspect"), member("lost", "dead"))
    neighbours = Neighbours(cast("Any", view))
    assert neighbours.lost("me", now_unix_s=NOW) is neighbours.lost("late", now_unix_s=NOW) is None
    assert neighbours.lost("lost", now_unix_s=NOW) == Away(name="lost", heard_unix_s=NOW)
    assert neighbours.lost("abcdefgh", now_unix_s=NOW) == Away(name="abcdef", heard_unix_s=None)
    assert [neighbours.name_of(node) for node in ("lost", "abcdefgh")] == ["lost", "abcdef"]


def test_those_who_live_have_a_vote_witnesses_too_and_no_witness_is_the_fittest_home() -> None:
    view = View(member("nas", witness=True), member("me"), member("lost", "dead"), member("late", "suspect"))
    neighbours = Neighbours(cast("Any", view))
    assert neighbours.living() == ("me", "nas")
    assert neighbours.fittest() == "me"


def test_a_witness_is_a_member_to_talk_to_and_no_node_to_work_with() -> None:
    view = View(member("me"), member("left"), member("lost", "dead"), member("nas", witness=True))
    neighbours = Neighbours(cast("Any", view))
    assert [colleague.node_id for colleague in neighbours.alive()] == ["me", "left"]
    assert (neighbours.other_nodes(), neighbours.other_channels()) == (("left",), ("left",))
    assert (neighbours.other_members(), neighbours.member_channels()) == (("left", "nas"), ("left", "nas"))


def fit(name: str, **facts: Any) -> MemberView:
    one = member(name)
    return replace(one, facts=replace(one.facts, **facts))


@pytest.mark.parametrize(
    ("other", "home"),
    [
        ({"portable": False}, "z"),
        ({"portable": False, "paused": True}, "me"),
        ({"portable": False, "features": frozenset[str]()}, "me"),
        ({"portable": False, "features": frozenset({"new", "newer"})}, "z"),
        ({"portable": True, "protocol": 0}, "me"),  # equal, and the id decides
        ({"portable": False, "protocol": 9}, "z"),
    ],
)
def test_the_fittest_home_is_the_steadiest_that_can_run_what_this_node_can_whatever_its_protocol(
    other: dict[str, Any], home: str
) -> None:
    features = frozenset({"new"})
    view = View(fit("me", portable=True, features=features), fit("z", **({"features": features} | other)))
    assert Neighbours(cast("Any", view)).fittest() == home


def test_a_paused_node_is_home_where_there_is_no_other() -> None:
    assert Neighbours(cast("Any", View(fit("me", paused=True), fit("z", paused=True)))).fittest() == "me"


def test_what_the_engine_holds_is_free_for_what_is_planned() -> None:
    facts = NodeFacts(node_id=NodeId("me"), name="me", memory_bytes=100 * GB, usable_bytes=90 * GB, free_bytes=20 * GB)
    holding = replace(facts, engine=EngineStatus(state="ready", rss_bytes=60 * GB))
    assert [planner_facts(one).free_bytes for one in (facts, holding)] == [20 * GB - CHILD_BYTES, 80 * GB - CHILD_BYTES]
    assert planner_facts(replace(facts, free_bytes=0)).free_bytes is None


def holder(name: str, *, busy: bool = False, plugged_in: bool = True) -> MemberView:
    model = KnownModel(
        name="m",
        sha256=ModelId("a" * 64),
        params_b=1.0,
        active_params_b=1.0,
        bits=4,
        weight_bytes=1,
        templates="standard",
    )
    power = Power(source="ac" if plugged_in else "battery")
    return fit(name, models=(model,), engine=EngineStatus(state="busy" if busy else "ready"), power=power)


def test_weights_are_copied_from_an_idle_node_over_the_fastest_link_and_from_mains_where_links_are_alike() -> None:
    rates = {"cable": 1.1e9, "mains": 110e6, "battery": 117e6, "wireless": 12e6, "busy": 5e9}
    links = tuple(MeasuredLink(node=NodeId(name), latency_s=1e-3, bytes_per_s=rate) for name, rate in rates.items())
    view = View(
        fit("me", links=links),
        holder("new"),
        holder("busy", busy=True),
        holder("wireless"),
        holder("battery", plugged_in=False),
        holder("mains"),
        holder("cable", plugged_in=False),
    )
    copies = Neighbours(cast("Any", view)).copies(Wanted(name="m"))
    assert [copy.node for copy in copies] == ["cable", "mains", "battery", "wireless", "new", "busy"]


def test_a_model_that_a_node_asks_a_server_for_is_not_copied_from_it() -> None:
    asking = holder("left")
    model = replace(asking.facts.models[0], endpoint="http://gpu.lan")
    view = View(member("me"), replace(asking, facts=replace(asking.facts, models=(model,))))
    assert Neighbours(cast("Any", view)).copies(Wanted(name="m")) == ()
