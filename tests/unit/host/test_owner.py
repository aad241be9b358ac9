"""Whether somebody is there and memory is short, from what systems print.

The Linux texts follow what systemd 247 and 257 and kernel 6 print; those of macOS are written after published samples:
neither was recorded on a Mac.
"""

from __future__ import annotations

import pytest

from realign_daemon.host.login import has_person, somebody_is_logged_in
from realign_daemon.host.pressure import Pressure, linux_pressure, macos_pressure, read_pressure

OLD_COLUMNS = "  2 1000 ada  seat0 tty2\n"
NEW_COLUMNS = "      4 1000 ada      -      1823 manager -     no   -\n"
OVER_SSH = "     10 1000 ada      -      2211 user    pts/0 no   -\n"
LOGIN_SCREEN = "     c1   42 gdm      seat0  1066 greeter tty1  yes  3min ago\n"
GREETER_OF_OLD = "     c1  111 lightdm  seat0 tty7\n"


@pytest.mark.parametrize(
    ("sessions", "found"),
    [
        ("", False),
        (OLD_COLUMNS, True),
        (NEW_COLUMNS, False),
        (NEW_COLUMNS + OVER_SSH, True),
        (LOGIN_SCREEN, False),
        (GREETER_OF_OLD, False),
        (LOGIN_SCREEN + OVER_SSH, True),
        ("      3    0 root     -      2300 user    pts/1 no   -\n", True),
        ("System has not been booted with systemd as init system (PID 1). Can't operate.\n", False),
    ],
)
def test_people_are_told_from_the_systems_own_sessions(sessions: str, found: bool) -> None:
    assert has_person(sessions) is found


def stalls(full: str) -> str:
    return (
        "some avg10=63.10 avg60=12.33 avg300=1.00 total=7081234\n"
        f"full avg10={full} avg60=10.01 avg300=0.96 total=6981234\n"
    )


@pytest.mark.parametrize(
    ("text", "pressure"),
    [
        (stalls("0.00"), "normal"),
        (stalls("9.99"), "normal"),
        (stalls("10.00"), "warning"),
        (stalls("72.5"), "critical"),
        ("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_pressure_on_linux_is_how_long_everything_stood_still(text: str, pressure: Pressure) -> None:
    assert linux_pressure(text) == pressure


@pytest.mark.parametrize(
    ("text", "pressure"),
    [("1\n", "normal"), ("2\n", "warning"), ("4\n", "critical"), ("", "unknown"), ("unknown oid\n", "unknown")],
)
def test_pressure_on_a_mac_is_the_kernels_level(text: str, pressure: Pressure) -> None:
    assert macos_pressure(text) == pressure


def test_this_machine_can_be_asked() -> None:
    assert somebody_is_logged_in() in (True, False)
    assert read_pressure() in ("normal", "warning", "critical", "unknown")
