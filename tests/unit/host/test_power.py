"""Power: where the current comes from."""

from __future__ import annotations

import pytest

from realign_daemon.host.power import Power, power_of, read_power


@pytest.mark.parametrize(
    ("percent", "plugged", "power"),
    [
        (None, None, Power(source="ac")),
        (50.0, False, Power(source="battery", battery_fraction=0.5)),
        (100.4, True, Power(source="ac", battery_fraction=1.0)),
        (20.0, None, Power(source="unknown", battery_fraction=0.2)),
    ],
)
def test_power_is_read_from_charge_and_plug(percent: float | None, plugged: bool | None, power: Power) -> None:
    assert power_of(percent, plugged) == power


def test_this_machine_has_power() -> None:
    assert read_power().source in ("ac", "battery", "unknown")
