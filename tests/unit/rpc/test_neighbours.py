"""Neighbours: whom jobs see, and whom they do not."""

from __future__ import annotations

from typing import Any, cast

from realign_daemon.cluster.facts import NodeFacts, NodeId
from realign_daemon.cluster.membership import MemberState
from realign_daemon.cluster.standing import MemberView
from realign_daemon.rpc.neighbours import Neighbours


def member(name: str, state: MemberState = "alive", *, witness: bool = False) -> MemberView:
    node = NodeId(name)
    facts = NodeFacts(node_id=node, name=name, witness=witness)
    is_self = name == "me"
    return MemberView(node=node, state=state, silent_s=0.0, addresses=(), facts=facts, jobs=(), is_self=is_self)


class View:
    """Of four nodes; those that are not dead have a channel, which is their name."""

    def members(self) -> tuple[MemberView, ...]:
        return (member("me"), member("left"), member("lost", "dead"), member("nas", witness=True))

    def channel(self, node: NodeId) -> str | None:
        return None if node == "lost" else node


def test_a_witness_is_a_member_to_talk_to_and_no_node_to_work_with() -> None:
    neighbours = Neighbours(cast("Any", View()))
    assert [colleague.node_id for colleague in neighbours.alive()] == ["me", "left"]
    assert (neighbours.other_nodes(), neighbours.other_channels()) == (("left",), ("left",))
    assert (neighbours.other_members(), neighbours.member_channels()) == (("left", "nas"), ("left", "nas"))
