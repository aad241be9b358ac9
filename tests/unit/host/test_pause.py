"""A pause lasts as long as its owner said, whatever the clocks and the daemon do."""

from __future__ import annotations

from pathlib import Path

import pytest

from realign_daemon.host.pause import FILE, Pause
from realign_daemon.testing.manual_clock import ManualClock

HOUR_S = 3600.0


async def test_a_pause_ends_by_itself(tmp_path: Path) -> None:
    clock = ManualClock()
    pause = Pause(tmp_path, clock)
    assert (pause.is_on, pause.left_s) == (False, None)

    await pause.begin(2 * HOUR_S)
    clock.advance(HOUR_S)

    assert (pause.is_on, pause.left_s) == (True, HOUR_S)
    clock.advance(HOUR_S)
    assert (pause.is_on, pause.left_s) == (False, None)


async def test_a_pause_without_a_length_lasts_until_it_is_ended_and_over_restarts(tmp_path: Path) -> None:
    clock = ManualClock()
    await Pause(tmp_path, clock).begin(None)
    clock.advance(1_000 * HOUR_S)
    again = Pause(tmp_path, clock)
    assert (again.is_on, again.left_s) == (True, None)

    await again.end()

    assert not again.is_on
    assert not Pause(tmp_path, clock).is_on


async def test_sleep_counts_and_a_jump_of_the_wall_clock_does_not(tmp_path: Path) -> None:
    clock = ManualClock()
    pause = Pause(tmp_path, clock)
    await pause.begin(2 * HOUR_S)

    clock.sleep_through(HOUR_S)
    clock.set_unix(clock.unix() + 48 * HOUR_S)

    assert pause.left_s == HOUR_S


@pytest.mark.parametrize(
    ("away_s", "jump_s", "left_s"),
    [
        (0.5 * HOUR_S, 0.0, 1.5 * HOUR_S),
        (3 * HOUR_S, 0.0, None),
        (0.5 * HOUR_S, -100 * HOUR_S, 2 * HOUR_S),  # never longer than it was made
    ],
)
async def test_a_restart_asks_the_wall_clock(
    tmp_path: Path, away_s: float, jump_s: float, left_s: float | None
) -> None:
    clock = ManualClock()
    await Pause(tmp_path, clock).begin(2 * HOUR_S)
    after = ManualClock(continuous_s=5.0, unix_s=clock.unix() + away_s + jump_s)  # the machine restarted, too

    again = Pause(tmp_path, after)

    assert again.left_s == (None if left_s is None else pytest.approx(left_s))
    assert again.is_on is (left_s is not None)


async def test_a_new_pause_takes_the_place_of_the_old(tmp_path: Path) -> None:
    clock = ManualClock()
    pause = Pause(tmp_path, clock)
    await pause.begin(None)

    await pause.begin(60.0)

    assert pause.left_s == 60.0


def test_a_damaged_file_is_no_pause(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"seconds": "soon"')

    assert not Pause(tmp_path, ManualClock()).is_on
