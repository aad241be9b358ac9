"""What a node still takes in as its disk fills up."""

from __future__ import annotations

import pytest

from realign_daemon.host.disk_room import replicas_room_bytes, work_floor_bytes

GIBIBYTE = 2**30


@pytest.mark.parametrize(
    ("total_bytes", "floor_bytes"),
    [(64 * GIBIBYTE, 2 * GIBIBYTE), (100 * GIBIBYTE, 2 * GIBIBYTE), (10**12, 2 * 10**10)],
)
def test_new_work_needs_two_gibibytes_or_two_percent_of_the_disk(total_bytes: int, floor_bytes: int) -> None:
    assert work_floor_bytes(total_bytes) == floor_bytes


def test_the_last_half_gibibyte_is_for_this_nodes_own_results() -> None:
    assert replicas_room_bytes(GIBIBYTE) == GIBIBYTE // 2
    assert replicas_room_bytes(GIBIBYTE // 2) == 0
