"""Sleep is noticed once the machine is awake."""

from __future__ import annotations

from realign_daemon.clock import SystemClock
from realign_daemon.host.sleep import Sleep, SleepWatch
from realign_daemon.testing.manual_clock import ManualClock


def test_a_sleep_is_told_once_and_remembered() -> None:
    clock = ManualClock()
    watch = SleepWatch(clock)
    clock.advance(10.0)
    assert (watch.look(), watch.last) == (None, None)

    clock.sleep_through(7200.0)
    clock.advance(0.25)
    sleep = Sleep(slept_s=7200.0, woke_unix_s=clock.unix())

    assert (watch.look(), watch.look(), watch.last) == (sleep, None, sleep)


def test_a_jump_of_the_wall_clock_is_no_sleep() -> None:
    clock = ManualClock()
    watch = SleepWatch(clock)

    clock.set_unix(clock.unix() + 7200.0)

    assert watch.look() is None


def test_a_machine_that_is_awake_has_not_slept() -> None:
    assert SleepWatch(SystemClock()).look() is None
