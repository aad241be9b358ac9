"""Which node leads, as one node believes."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.cluster.election import Leadership, Rank, Voice, decide, handed_over, paused, rank_of, restarted
from realign_daemon.cluster.facts import HostBenchmark, NodeFacts, NodeId
from realign_daemon.host.power import Power

A, B, C = NodeId("a"), NodeId("b"), NodeId("c")


def rank(node: NodeId, *, instability: int = 0) -> Rank:
    return Rank(instability=instability, slowness=0, node=node)


def voice(node: NodeId, term: int, leader: NodeId | None, *, instability: int = 0) -> Voice:
    return Voice(rank=rank(node, instability=instability), term=term, leader=leader)


def leading(term: int, node: NodeId) -> Leadership:
    return Leadership(term=term, leader=node, heard_directly=True)


def test_a_node_that_never_knew_another_leads_at_once() -> None:
    start = restarted(term=0, knows_peers=False, now_s=5.0)

    assert decide(start, rank(A), (), 5.0) == Leadership(
        term=1, leader=A, heard_directly=True, silent_until_s=start.silent_until_s
    )


def test_a_restarted_node_that_knew_others_listens_before_it_claims() -> None:
    start = restarted(term=7, knows_peers=True, now_s=5.0)

    assert decide(start, rank(A), (), 7.9).leader is None
    assert (decide(start, rank(A), (), 8.0).leader, decide(start, rank(A), (), 8.0).term) == (A, 8)


def test_a_restarted_node_follows_the_leader_it_hears_while_it_listens() -> None:
    start = restarted(term=7, knows_peers=True, now_s=5.0)

    believed = decide(start, rank(A), [voice(B, 7, B)], 5.5)

    assert (believed.leader, believed.term) == (B, 7)


def test_a_better_ranked_node_of_the_same_steadiness_does_not_depose_the_incumbent() -> None:
    believed = leading(3, B)
    for second in range(600):
        believed = decide(believed, rank(A), [voice(B, 3, B)], float(second))

    assert (believed.leader, believed.term) == (B, 3)


def test_an_older_node_leads_before_a_steadier_one_during_an_upgrade() -> None:
    old = Rank(protocol=1, instability=2, slowness=9, node=B)
    new = Rank(protocol=2, instability=0, slowness=-9, node=A)

    believed = decide(restarted(term=0, knows_peers=False, now_s=0.0), old, [Voice(rank=new, term=0, leader=None)], 0.0)

    assert believed.leader == B


def test_an_older_node_takes_over_from_a_newer_leader_after_60_s_and_no_newer_one_from_it() -> None:
    old = Rank(protocol=1, instability=2, slowness=9, node=B)
    new = Rank(protocol=2, instability=0, slowness=-9, node=A)
    follows_new, follows_old = leading(3, A), leading(3, B)
    for second in range(62):
        if follows_new.leader == A:
            follows_new = decide(follows_new, old, [Voice(rank=new, term=3, leader=A)], float(second))
        follows_old = decide(follows_old, new, [Voice(rank=old, term=3, leader=B)], float(second))

    assert (follows_new.leader, follows_new.term) == (B, 4)
    assert (follows_old.leader, follows_old.term) == (B, 3)


def test_a_steadier_node_takes_over_after_more_than_60_s_and_not_before() -> None:
    laptop = voice(B, 3, B, instability=1)
    believed = decide(leading(3, B), rank(C), [laptop], 0.0)

    assert decide(believed, rank(C), [laptop], 60.0).leader == B
    assert (decide(believed, rank(C), [laptop], 60.25).leader, decide(believed, rank(C), [laptop], 60.25).term) == (
        C,
        4,
    )


def test_the_count_of_60_s_starts_anew_when_the_leader_was_as_steady_in_between() -> None:
    believed = decide(leading(3, B), rank(C), [voice(B, 3, B, instability=2)], 0.0)
    believed = decide(believed, rank(C), [voice(B, 3, B, instability=0)], 50.0)
    believed = decide(believed, rank(C), [voice(B, 3, B, instability=2)], 55.0)

    assert decide(believed, rank(C), [voice(B, 3, B, instability=2)], 100.0).leader == B


def test_a_leader_that_was_asked_to_hands_over_to_a_node_of_a_lower_rank_and_all_follow_it() -> None:
    as_a = handed_over(leading(3, A), C)
    before = [voice(B, 3, A), voice(C, 3, A)]

    assert decide(as_a, rank(A), before, 0.0).leader == C
    as_c = decide(leading(3, A), rank(C), [voice(A, 4, C), voice(B, 3, A)], 0.0)
    assert (as_c.leader, as_c.term) == (C, 4)
    as_b = decide(leading(3, A), rank(B), [voice(A, 4, C), voice(C, 3, A)], 0.0)
    assert (as_b.leader, as_b.term) == (C, 4)
    for now_s in (1.0, 600.0):
        assert decide(as_a, rank(A), [voice(B, 4, C), voice(C, 4, C)], now_s).leader == C


def test_a_leader_that_hands_over_to_a_node_that_dies_is_followed_again() -> None:
    as_a = decide(handed_over(leading(3, A), C), rank(A), [voice(B, 3, A)], 0.0)

    assert (as_a.leader, as_a.term) == (A, 5)


def test_nobody_claims_a_term_because_a_node_that_does_not_lead_says_so() -> None:
    believed = decide(leading(3, A), rank(C), [voice(A, 3, A), voice(B, 3, C)], 0.0)

    assert (believed.leader, believed.term) == (A, 3)


def test_when_the_leader_is_gone_the_best_ranked_claims_the_next_term_and_others_wait_for_it() -> None:
    believed = leading(3, C)

    as_a = decide(believed, rank(A), [voice(B, 3, None)], 0.0)
    as_b = decide(believed, rank(B), [voice(A, 3, None)], 0.0)

    assert (as_a.leader, as_a.term) == (A, 4)
    assert (as_b.leader, as_b.term) == (None, 3)


def test_the_higher_term_wins_when_two_halves_meet() -> None:
    believed = decide(leading(3, A), rank(A), [voice(B, 9, B)], 0.0)

    assert (believed.leader, believed.term) == (B, 9)


def test_of_two_leaders_of_one_term_the_better_rank_stays() -> None:
    as_a = decide(leading(3, A), rank(A), [voice(B, 3, B)], 0.0)
    as_b = decide(leading(3, B), rank(B), [voice(A, 3, A)], 0.0)

    assert (as_a.leader, as_b.leader) == (A, A)


def test_an_incumbent_goes_above_a_higher_term_that_has_no_leader() -> None:
    believed = decide(leading(3, B), rank(B), [voice(C, 9, None)], 0.0)

    assert (believed.leader, believed.term) == (B, 10)


def test_a_leader_heard_only_by_another_node_is_followed_but_not_named_in_our_beats() -> None:
    believed = decide(Leadership(term=3), rank(C), [voice(B, 4, A)], 0.0)

    assert (believed.leader, believed.announced, believed.term) == (A, None, 4)


def test_a_leader_that_says_it_leads_no_more_is_not_followed_on_the_word_of_others() -> None:
    believed = decide(leading(4, A), rank(C), [voice(A, 4, None), voice(B, 4, A)], 0.0)

    assert believed.leader is None


def test_a_leader_that_stood_still_steps_down_and_listens() -> None:
    believed = paused(leading(4, A), A, 100.0)

    assert believed.leader is None
    assert decide(believed, rank(A), [voice(B, 4, A)], 100.0).leader is None
    assert decide(believed, rank(A), [voice(B, 5, B)], 100.5).leader == B


def test_rank_prefers_no_battery_then_the_mains_then_speed_in_steps_of_a_quarter_then_the_id() -> None:
    def facts(node: str, *, portable: bool = False, source: str = "ac", gflops: float = 100.0) -> NodeFacts:
        return NodeFacts(
            node_id=NodeId(node),
            name=node,
            portable=portable,
            power=Power(source="battery" if source == "battery" else "ac"),
            benchmark=HostBenchmark(gflops={"float32": gflops}) if gflops else None,
        )

    in_order = [
        facts("fast", gflops=900.0),
        facts("m", gflops=90.0),
        facts("n", gflops=105.0),
        facts("unmeasured", gflops=0.0),
        facts("laptop-on-ac", portable=True, gflops=10_000.0),
        facts("laptop-on-battery", portable=True, source="battery", gflops=20_000.0),
    ]

    assert sorted(set_apart := in_order[3:] + in_order[:3], key=rank_of) == in_order != set_apart


NODES = [NodeId(name) for name in "abcde"]


def belief(term: int, leader: NodeId | None) -> Leadership:
    return Leadership(term=term, leader=leader, heard_directly=leader is not None)


beliefs = st.builds(belief, st.integers(0, 5), st.sampled_from([*NODES, None]))


@st.composite
def clusters(draw: st.DrawFn) -> tuple[dict[NodeId, Rank], dict[NodeId, Leadership]]:
    members = NODES[: draw(st.integers(1, 5))]
    ranks = {node: rank(node, instability=draw(st.integers(0, 2))) for node in members}
    return ranks, {node: draw(beliefs) for node in members}


@given(cluster=clusters(), order=st.randoms(use_true_random=False))
def test_whatever_they_believed_nodes_that_hear_each_other_soon_agree_and_no_term_goes_back(
    cluster: tuple[dict[NodeId, Rank], dict[NodeId, Leadership]], order: Random
) -> None:
    ranks, state = cluster
    said = {node: voice_of(ranks[node], believed) for node, believed in state.items()}
    for _ in range(8):
        for node in order.sample(list(state), len(state)):
            voices = [said[other] for other in state if other != node]
            before = state[node].term
            state[node] = decide(state[node], ranks[node], voices, 0.0)
            assert state[node].term >= before
        said = {node: voice_of(ranks[node], believed) for node, believed in state.items()}

    outcome = {(believed.term, believed.leader) for believed in state.values()}

    assert len(outcome) == 1
    assert outcome.pop()[1] in state


def voice_of(own: Rank, believed: Leadership) -> Voice:
    return Voice(rank=own, term=believed.term, leader=believed.announced)
