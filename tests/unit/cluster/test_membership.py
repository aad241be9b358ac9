"""Who is in the cluster, and when a silent node is given up."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.cluster.beats import Beat
from realign_daemon.cluster.facts import BootId, NodeFacts, NodeId
from realign_daemon.cluster.membership import (
    Membership,
    PeerChanged,
    PeerEvent,
    PeerJoined,
    PeerLost,
    PeerReturned,
    PeerSuspected,
    doubted,
    heard,
    tick,
)

STUDIO = NodeId("studio")


def beat(sequence: int = 1, *, node: NodeId = STUDIO, boot: str = "b1", **facts: Any) -> Beat:
    return Beat(
        node=node,
        boot=BootId(boot),
        sequence=sequence,
        term=1,
        leader=None,
        leader_since_unix_s=0.0,
        facts=NodeFacts(node_id=node, name=node, **facts),
    )


def ticked(state: Membership, from_s: float, to_s: float) -> tuple[Membership, list[PeerEvent]]:
    """Ticks every 0.25 s, as the loop does."""
    events: list[PeerEvent] = []
    for step in range(int((to_s - from_s) * 4) + 1):
        state, new = tick(state, from_s + step / 4)
        events.extend(new)
    return state, events


def test_the_first_beat_of_a_node_joins_it() -> None:
    state, events = heard(Membership(), beat(), 10.0)

    assert events == (PeerJoined(node=STUDIO),)
    assert [(member.node, member.state) for member in state.members] == [(STUDIO, "alive")]


def test_a_silent_node_is_suspected_after_3_s_and_lost_after_6_s() -> None:
    state, _ = heard(Membership(), beat(), 10.0)

    _, events = ticked(state, 10.0, 20.0)

    assert events == [PeerSuspected(node=STUDIO, silent_s=3.0), PeerLost(node=STUDIO, silent_s=6.0)]


def test_a_suspected_node_that_is_heard_again_returns_unlost() -> None:
    state, _ = heard(Membership(), beat(1), 10.0)
    state, _ = ticked(state, 10.0, 14.0)

    state, events = heard(state, beat(2), 14.0)
    state, later = ticked(state, 14.0, 16.0)

    assert events == (PeerReturned(node=STUDIO, restarted=False),)
    assert later == []


def test_a_node_with_a_new_boot_id_returns_as_restarted_even_when_nobody_missed_it() -> None:
    state, _ = heard(Membership(), beat(41), 10.0)

    _, events = heard(state, beat(1, boot="b2"), 11.0)

    assert events == (PeerReturned(node=STUDIO, restarted=True),)


def test_the_same_beat_over_a_second_connection_changes_nothing() -> None:
    state, _ = heard(Membership(), beat(5), 10.0)

    assert heard(state, beat(5), 10.9) == (state, ())
    assert heard(state, beat(4), 10.9) == (state, ())


def test_new_facts_are_told() -> None:
    state, _ = heard(Membership(), beat(1, paused=False), 10.0)

    _, events = heard(state, beat(2, paused=True), 11.0)

    assert events == (PeerChanged(node=STUDIO),)


def test_a_node_whose_last_connection_broke_is_suspected_at_once_but_lost_only_in_its_time() -> None:
    state, _ = heard(Membership(), beat(), 10.0)

    state, at_once = doubted(state, STUDIO, 10.5)
    _, later = ticked(state, 10.5, 16.0)

    assert at_once == (PeerSuspected(node=STUDIO, silent_s=0.5),)
    assert later == [PeerLost(node=STUDIO, silent_s=6.0)]


def test_nobody_is_judged_for_one_full_timeout_after_our_own_loop_stood_still() -> None:
    state, _ = heard(Membership(), beat(), 10.0)
    state, _ = ticked(state, 10.0, 11.0)

    state, on_waking = tick(state, 3_611.0)
    state, soon = ticked(state, 3_611.0, 3_613.75)
    _, after = ticked(state, 3_613.75, 3_617.0)

    assert on_waking == ()
    assert soon == []
    assert [type(event) for event in after] == [PeerSuspected, PeerLost]


@given(
    gaps_s=st.lists(st.floats(min_value=0.01, max_value=2.9), min_size=1, max_size=30),
    ticks_s=st.lists(st.floats(min_value=0.05, max_value=5.0), min_size=1, max_size=30),
)
def test_a_node_that_beats_every_3_s_is_never_suspected_however_we_stall(
    gaps_s: list[float], ticks_s: list[float]
) -> None:
    moments = [(sum(gaps_s[: index + 1]), index + 1) for index in range(len(gaps_s))]
    state, _ = heard(Membership(), beat(1), 0.0)
    now_s, waiting = 0.0, list(moments)
    for pause_s in ticks_s:
        now_s += pause_s
        while waiting and waiting[0][0] <= now_s:
            at_s, number = waiting.pop(0)
            state, events = heard(state, beat(number + 1), at_s)
            assert events == ()
        if not waiting:
            break
        state, events = tick(state, now_s)
        assert events == ()


def test_a_node_that_slept_blames_nobody_for_its_broken_connections() -> None:
    state, _ = heard(Membership(ticked_at_s=10.0), beat(), 10.0)

    early, events = doubted(state, STUDIO, 3610.0)  # the break is noticed before the loop turns again
    assert events == ()
    woken, events = tick(early, 3610.0)
    assert events == ()
    _, events = doubted(woken, STUDIO, 3615.9)
    assert events == ()
    _, events = ticked(woken, 3610.0, 3620.0)
    assert [type(event) for event in events] == [PeerSuspected, PeerLost]  # silent for a full timeout since
