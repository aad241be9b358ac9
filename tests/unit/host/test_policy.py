"""What a machine owes its owner."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.config import PowerConfig
from realign_daemon.host.policy import Situation, memory_shortage, reason_to_refuse, reserved_bytes
from realign_daemon.host.power import Power
from realign_daemon.host.pressure import Pressure

GIB = 2**30
CALM = Situation(power=Power(source="ac"), memory_bytes=32 * GIB, free_bytes=20 * GIB, pressure="normal")
USED = replace(CALM, user_active=True)
LIMITS = PowerConfig()


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        (CALM, ""),
        (USED, ""),
        (replace(CALM, power=Power(source="battery", battery_fraction=0.31)), ""),
        (
            replace(CALM, power=Power(source="battery", battery_fraction=0.3)),
            "it runs on a battery that is 30% full",
        ),
        (replace(CALM, power=Power(source="ac", battery_fraction=0.02)), ""),
        (replace(CALM, power=Power(source="unknown", battery_fraction=0.02)), ""),
        (replace(CALM, free_bytes=GIB), ""),  # nobody is there who would want it
        (replace(USED, free_bytes=7 * GIB), "somebody is logged in and less than 25% of its memory is free"),
        (replace(USED, free_bytes=9 * GIB, was_short=True),
         "somebody is logged in and less than 30% of its memory is free"),
        (replace(USED, free_bytes=10 * GIB, was_short=True), ""),
        (replace(CALM, pressure="warning"), ""),
        (replace(USED, pressure="warning"), "it runs short of memory and somebody is logged in"),
        (replace(CALM, pressure="critical"), "it is short of memory"),
        (replace(CALM, pressure="unknown"), ""),
    ],
)  # fmt: skip
def test_a_machine_refuses_work_for_its_owners_sake_and_says_why(situation: Situation, reason: str) -> None:
    assert reason_to_refuse(situation, LIMITS) == reason


def test_an_owner_can_forbid_work_on_battery_altogether() -> None:
    full = replace(CALM, power=Power(source="battery", battery_fraction=1.0))

    assert reason_to_refuse(full, PowerConfig(on_battery=False)).startswith("it runs on its battery")
    assert reason_to_refuse(CALM, PowerConfig(on_battery=False)) == ""


def test_an_owner_can_give_all_memory_away() -> None:
    full = replace(USED, free_bytes=0)

    assert reason_to_refuse(full, PowerConfig(user_free_fraction=0.0)) == ""
    assert reserved_bytes(full, PowerConfig(user_free_fraction=0.0)) == 0


def test_a_quarter_of_the_memory_is_kept_from_models_only_while_somebody_is_logged_in() -> None:
    assert reserved_bytes(USED, LIMITS) == 8 * GIB
    assert reserved_bytes(CALM, LIMITS) == 0


SITUATIONS = st.builds(
    Situation,
    power=st.builds(
        Power, source=st.sampled_from(["ac", "battery", "unknown"]), battery_fraction=st.none() | st.floats(0, 1)
    ),
    memory_bytes=st.integers(0, 2**40),
    free_bytes=st.integers(0, 2**40),
    pressure=st.sampled_from(["normal", "warning", "critical", "unknown"]),
    user_active=st.booleans(),
    was_short=st.booleans(),
)


@given(SITUATIONS, st.integers(0, 2**40), st.sampled_from(["normal", "unknown"]))
def test_more_room_is_never_a_new_reason_to_refuse(situation: Situation, more: int, calmer: Pressure) -> None:
    easier = replace(situation, free_bytes=situation.free_bytes + more, pressure=calmer, user_active=False)

    if reason_to_refuse(situation, LIMITS) == "":
        assert reason_to_refuse(easier, LIMITS) == ""


@given(SITUATIONS)
def test_memory_that_is_to_go_back_is_always_a_reason_to_refuse(situation: Situation) -> None:
    if memory_shortage(situation, LIMITS):
        assert reason_to_refuse(situation, LIMITS)
