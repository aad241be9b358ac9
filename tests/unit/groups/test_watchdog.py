"""When a group is given up, and who is named for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.groups.watchdog import (
    FORMATION_S,
    LEAST_STEP_S,
    SETTLE_S,
    SILENCE_S,
    STEPS_PATIENCE,
    Lost,
    Watchdog,
)

LOOK_S = 0.25
sizes = st.integers(2, 6)


class World:
    """Ranks that beat every second, watched four times a second, until a test says otherwise of one."""

    def __init__(self, size: int) -> None:
        self.now_s = 0.0
        self.steps = [0] * size
        self.silent: set[int] = set()
        self.stuck: set[int] = set()
        self.busy = True
        self.watchdog = Watchdog(size, now_s=0.0)
        for rank in range(size):
            self.watchdog.formed(rank, now_s=0.0)

    def pass_time(self, seconds: float) -> Lost | None:
        """The first verdict within so long, or None."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += LOOK_S
            if self.now_s % 1.0 == 0.0:
                for rank in range(len(self.steps)):
                    self._beat(rank)
            if (lost := self.watchdog.verdict(now_s=self.now_s)) is not None:
                return lost
        return None

    def _beat(self, rank: int) -> None:
        self.steps[rank] += rank not in self.stuck
        if rank not in self.silent:
            self.watchdog.beat(rank, steps=self.steps[rank], busy=self.busy, now_s=self.now_s)


@given(sizes, st.booleans())
def test_a_group_whose_ranks_beat_and_get_on_is_never_given_up(size: int, busy: bool) -> None:
    world = World(size)
    world.busy = busy
    assert world.pass_time(120.0) is None


@given(st.data())
def test_a_silent_rank_is_named_within_its_four_seconds(data: st.DataObject) -> None:
    world = World(data.draw(sizes))
    assert world.pass_time(data.draw(st.integers(0, 20)) * LOOK_S) is None
    rank = data.draw(st.integers(0, len(world.steps) - 1))
    world.silent.add(rank)
    heard_s = world.now_s
    lost = world.pass_time(60.0)
    assert lost is not None
    assert lost.rank == rank
    assert world.now_s - heard_s <= SILENCE_S + LOOK_S


@given(st.data())
def test_ranks_that_wait_for_each_other_are_given_up_and_the_last_is_named(data: st.DataObject) -> None:
    world = World(data.draw(sizes))
    assert world.pass_time(5.0) is None
    rank = data.draw(st.integers(0, len(world.steps) - 1))
    world.steps = [steps + 1 for steps in world.steps]
    world.steps[rank] -= 1
    world.stuck = set(range(len(world.steps)))
    began_s = world.now_s
    lost = world.pass_time(60.0)
    assert lost is not None
    assert lost.rank == rank
    assert LEAST_STEP_S <= world.now_s - began_s <= LEAST_STEP_S + 2.0


def test_a_group_with_nothing_to_do_may_stand_still_for_ever() -> None:
    world = World(2)
    world.busy, world.stuck = False, {0, 1}
    assert world.pass_time(600.0) is None
    world.busy = True  # the wait was no step
    assert world.pass_time(LEAST_STEP_S - 1.0) is None


def test_a_step_may_take_five_times_the_slowest_one() -> None:
    world = World(2)
    world.stuck = {0, 1}
    assert world.pass_time(6.0) is None
    world.stuck = set()
    assert world.pass_time(3.0) is None
    world.stuck = {0, 1}
    assert world.pass_time(STEPS_PATIENCE * 6.0 - 1.0) is None
    assert world.pass_time(STEPS_PATIENCE * 2.0) is not None


def test_a_load_may_be_silent_for_as_long_as_it_was_allowed() -> None:
    world = World(2)
    world.watchdog.allow(90.0)
    world.stuck = {0, 1}
    assert world.pass_time(89.0) is None
    assert world.pass_time(3.0) is not None


@given(st.data())
def test_the_rank_that_died_is_named_whatever_order_its_peers_ends_are_heard_in(data: st.DataObject) -> None:
    world = World(data.draw(sizes))
    ranks = data.draw(st.permutations(range(len(world.steps))))
    dead = data.draw(st.sampled_from(ranks))
    for rank in ranks:
        is_echo = rank != dead
        cause = "its peer was lost" if is_echo else "killed by SIGKILL"
        world.watchdog.ended(rank, cause, is_echo=is_echo, now_s=world.now_s)
        lost = world.watchdog.verdict(now_s=world.now_s)
        if rank == dead:
            assert lost == Lost(rank=dead, cause="killed by SIGKILL", has_ended=True)
            return
        assert lost is None


def test_an_echo_that_nothing_explains_is_believed_after_a_moment() -> None:
    world = World(2)
    world.watchdog.ended(1, "its peer was lost", is_echo=True, now_s=0.0)
    assert world.pass_time(SETTLE_S - LOOK_S) is None
    assert world.pass_time(3 * LOOK_S) == Lost(rank=1, cause="its peer was lost", has_ended=True)


def test_a_rank_whose_node_is_gone_is_named_at_once_and_no_process_is_said_to_have_ended() -> None:
    world = World(2)
    world.watchdog.ended(0, "its peer was lost", is_echo=True, now_s=world.now_s)
    world.watchdog.gone(1, "its node cannot be reached", now_s=world.now_s)
    assert world.pass_time(LOOK_S) == Lost(rank=1, cause="its node cannot be reached")


def test_ranks_that_do_not_join_are_named_at_the_deadline() -> None:
    watchdog = Watchdog(3, now_s=0.0)
    watchdog.formed(0, now_s=1.0)
    now_s = 0.0
    while now_s < FORMATION_S - LOOK_S:
        now_s += LOOK_S
        assert watchdog.verdict(now_s=now_s) is None
    lost = watchdog.verdict(now_s=now_s + LOOK_S)
    assert lost is not None
    assert lost.rank == 1


@given(st.floats(3.0, 1e6))
def test_a_head_that_was_itself_away_blames_nobody_for_it(away_s: float) -> None:
    world = World(2)
    assert world.pass_time(5.0) is None
    assert world.watchdog.verdict(now_s=world.now_s + away_s) is None
