"""A cluster is without a leader no longer than was promised. bench/failover.py measures the same over more chances."""

from __future__ import annotations

import statistics

import pytest

from realign_daemon.testing.failover import WAYS, Way, measure


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("way", WAYS)
def test_a_leader_that_goes_is_followed_by_another_in_time_and_is_welcome_back(way: Way, size: int) -> None:
    found = [measure(way, size, seed) for seed in range(1_000, 1_005)]

    assert statistics.median(one.failover_s for one in found) <= 8.0
    assert max(one.failover_s for one in found) <= 12.0
    assert max(one.back_s for one in found) <= (10.0 if way in ("freeze", "sleep") else 5.0)
