"""When a node loads nothing more because memory did not come back, and when it does again."""

from __future__ import annotations

import asyncio

from realign_daemon.groups.residue import Residue, unreturned_bytes
from realign_daemon.testing.manual_clock import ManualClock

GB = 10**9
GRACE_S = 3.0


class Mac:
    """The wired memory of a machine on which ranks start and end."""

    def __init__(self) -> None:
        self.wired = 10 * GB
        self.clock = ManualClock()
        self.residue = Residue(self.clock, wired=lambda: self.wired)

    async def group_ends(self, *, held: int, stays: int = 0, after_s: float = 0.0) -> str:
        """What is said of the node once a rank that held so much has ended, and all but a part came back."""
        self.residue.note()
        self.wired += held
        settling = asyncio.create_task(self.residue.settle(held_bytes=held))
        await self.clock.run_for(after_s)
        self.wired -= held - stays
        await self.clock.run_for(2 * GRACE_S)
        await settling
        return self.residue.reason()


async def test_memory_that_is_slow_to_come_back_is_waited_for() -> None:
    assert await Mac().group_ends(held=30 * GB, after_s=GRACE_S - 1.0) == ""


async def test_a_node_says_how_much_did_not_come_back_for_as_long_as_it_does_not() -> None:
    mac = Mac()
    said = "20.0 GB of its memory did not come back from a group that ended: restart that Mac"
    assert await mac.group_ends(held=30 * GB, stays=20 * GB) == said
    mac.wired += 5 * GB
    assert mac.residue.reason() == said
    mac.wired -= 25 * GB
    assert mac.residue.reason() == ""
    mac.wired += 20 * GB
    assert mac.residue.reason() == "", "that is somebody else's"


async def test_what_others_take_after_a_group_has_ended_well_is_not_missed() -> None:
    mac = Mac()
    assert await mac.group_ends(held=30 * GB) == ""
    mac.wired += 21 * GB
    assert mac.residue.reason() == ""
    assert await mac.group_ends(held=30 * GB) == ""


async def test_a_system_that_does_not_say_what_is_wired_is_no_mac() -> None:
    residue = Residue(ManualClock(), wired=lambda: None)
    residue.note()
    await residue.settle(held_bytes=30 * GB)
    assert residue.reason() == ""


def test_memory_counts_as_lost_when_half_of_what_was_held_stays_wired() -> None:
    assert unreturned_bytes(before=10 * GB, after=50 * GB, held=60 * GB) == 40 * GB
    assert unreturned_bytes(before=10 * GB, after=30 * GB, held=60 * GB) == 0
    assert unreturned_bytes(before=10 * GB, after=10 * GB + 2**29, held=2**28) == 0
    assert unreturned_bytes(before=10 * GB, after=9 * GB, held=60 * GB) == 0
