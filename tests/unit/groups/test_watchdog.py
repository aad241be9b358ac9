"""When a group is given up, and who is named for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.groups.watchdog import (
    FORMATION_S,
    LEAST_STEP_S,
    RECENT_S,
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

    def step_of(self, seconds: float) -> Lost | None:
        """The first verdict while all ranks are in one step, and at its end."""
        self.stuck = set(range(len(self.steps)))
        lost = self.pass_time(seconds)
        self.stuck = set()
        return lost or self.pass_time(1.0)

    def found_after_s(self) -> float:
        """How long it takes until somebody is blamed."""
        began_s = self.now_s
        assert self.pass_time(600.0) is not None
        return self.now_s - began_s

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


def test_a_group_with_nothing_to_do_is_given_up_when_its_ranks_no_longer_meet_whatever_waits_for_them() -> None:
    world = World(2)
    world.busy = False
    assert world.pass_time(600.0) is None
    world.stuck = {0, 1}
    with world.watchdog.allowing(90.0):
        assert world.found_after_s() <= LEAST_STEP_S + 2.0


def test_where_one_rank_gets_on_the_others_may_wait_for_it() -> None:
    world = World(3)
    world.stuck = {0, 2}
    assert world.pass_time(120.0) is None
    world.stuck = {0, 1, 2}
    assert world.found_after_s() <= LEAST_STEP_S + 2.0


def test_a_step_may_take_three_times_the_slowest_one_of_late() -> None:
    world = World(2)
    assert world.step_of(4.0) is None
    world.stuck = {0, 1}
    assert STEPS_PATIENCE * 4.0 <= world.found_after_s() <= STEPS_PATIENCE * 5.0 + 2.0


@given(st.floats(LEAST_STEP_S, 60.0), st.floats(RECENT_S + 2.0, 300.0))
def test_a_slow_step_is_forgotten_after_a_while_of_fast_ones(step_s: float, fast_s: float) -> None:
    world = World(2)
    with world.watchdog.allowing(2 * step_s):
        assert world.step_of(step_s) is None
    assert world.pass_time(fast_s) is None
    world.stuck = {0, 1}
    assert world.found_after_s() <= LEAST_STEP_S + 2.0


@given(st.floats(1.0, 60.0))
def test_steps_that_are_alike_are_never_too_long_however_long_they_are(step_s: float) -> None:
    world = World(2)
    with world.watchdog.allowing(2 * step_s + 2.0):
        assert world.step_of(step_s) is None
    for _ in range(4):
        assert world.step_of(step_s) is None


def test_what_a_load_took_is_forgotten_at_once_and_the_longest_pass_never() -> None:
    world = World(2)
    with world.watchdog.allowing(90.0):
        assert world.step_of(80.0) is None
    world.watchdog.loaded(4.0, now_s=world.now_s)
    world.stuck = {0, 1}
    assert STEPS_PATIENCE * 4.0 <= world.found_after_s() <= STEPS_PATIENCE * 4.0 + 2.0
    world = World(2)
    world.watchdog.loaded(4.0, now_s=world.now_s)
    assert world.pass_time(3600.0) is None
    assert world.step_of(STEPS_PATIENCE * 4.0 - 1.0) is None


def test_a_load_may_be_silent_for_as_long_as_it_was_allowed_whatever_else_is_asked_meanwhile() -> None:
    world = World(2)
    with world.watchdog.allowing(90.0):
        with world.watchdog.allowing(LEAST_STEP_S):
            assert world.pass_time(1.0) is None
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
