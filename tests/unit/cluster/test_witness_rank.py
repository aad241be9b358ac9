"""A witness has a say on who leads, and never leads itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.cluster.election import Leadership, Rank, Voice, decide, rank_of
from realign_daemon.cluster.facts import NodeFacts, NodeId

A, B, W = NodeId("a"), NodeId("b"), NodeId("w")
WITNESS = rank_of(NodeFacts(node_id=W, name="nas", witness=True))


def rank(node: NodeId, instability: int) -> Rank:
    return Rank(is_witness=node == W, instability=instability, slowness=0, node=node)


ranks = st.builds(rank, st.sampled_from((A, B, W)), st.integers(0, 2))
leaders = st.none() | st.sampled_from((A, B))  # whom anybody names
voices = st.builds(Voice, rank=ranks, term=st.integers(0, 3), leader=leaders)


@given(
    said=st.lists(voices, max_size=3, unique_by=lambda voice: voice.node),
    term=st.integers(0, 3),
    leader=leaders,
    now_s=st.floats(0, 200),
)
def test_a_witness_never_believes_that_it_leads(
    said: list[Voice], term: int, leader: NodeId | None, now_s: float
) -> None:
    others = [voice for voice in said if voice.node != W]
    state = Leadership(term=term, leader=leader, outranked_since_s=0.0)
    assert decide(state, WITNESS, others, now_s).leader != W


def test_a_witness_that_is_offered_the_lead_does_not_take_it() -> None:
    offered = Voice(rank=Rank(instability=0, slowness=0, node=A), term=3, leader=W)
    state = Leadership(term=3, leader=A, heard_directly=True)
    assert decide(state, WITNESS, [offered], 9.0).leader != W


def test_a_node_leads_beside_a_steadier_witness_and_a_witness_alone_leads_nobody() -> None:
    laptop = Rank(instability=2, slowness=0, node=A)
    heard = Voice(rank=WITNESS, term=1, leader=None)
    assert decide(Leadership(), laptop, [heard], 9.0).leader == A
    assert decide(Leadership(), WITNESS, [], 9.0).leader is None
