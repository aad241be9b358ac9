"""What keeps a machine busy beside units: a rank, which its owner can have back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from realign_daemon.engine.api import ModelId
from realign_daemon.groups.berth import Berth
from realign_daemon.groups.messages import Prepare
from realign_daemon.groups.occupation import Occupation
from realign_daemon.groups.references import References
from realign_daemon.groups.residue import Residue
from realign_daemon.host.steward import PAUSE_GRACE_S
from realign_daemon.testing.manual_clock import ManualClock

WANTED = Prepare(
    group="g",
    nodes=("studio", "book"),
    rank=1,
    backend="ring",
    parallelism="tensor",
    split=(),
    model="pocket",
    model_id=ModelId("f" * 64),
    mlx="1",
)


class Units:
    is_working = has_units = False
    given_back = 0

    def refresh(self) -> None:
        """Nobody is to be told."""

    def give_back_running(self) -> None:
        self.given_back += 1
        self.is_working = False


def berth(clock: ManualClock, wired: Callable[[], int | None] = lambda: None) -> Berth:
    return Berth(
        find=lambda _: None,
        start=cast("Any", None),
        spare_bytes=lambda: 0,
        references=References(Path("/nowhere"), mlx="1"),
        residue=Residue(clock, wired=wired),
        mlx="1",
        clock=clock,
    )


async def test_a_rank_keeps_the_machine_busy_and_its_node_says_whose_it_is() -> None:
    clock = ManualClock()
    place = berth(clock)
    occupation = Occupation(Units(), place, objection=lambda: "", clock=clock)
    assert (occupation.is_working, occupation.has_units, place.serves()) == (False, False, "")
    async with place.occupy(WANTED):
        assert (occupation.is_working, occupation.has_units) == (True, True)
        assert place.serves() == "it is rank 1 of 2 of pocket, which studio leads"
    assert (occupation.is_working, place.status()) == (False, None)


async def test_an_owner_who_wants_the_machine_gets_it_from_a_rank_after_the_grace_that_units_have() -> None:
    clock, objection = ManualClock(), [""]
    place = berth(clock)
    occupation = Occupation(Units(), place, objection=lambda: objection[0], clock=clock)
    causes: list[str] = []
    async with place.occupy(WANTED) as occupied:
        occupied.on_give_up = causes.append
        occupation.refresh()
        objection[0] = "its owner has paused it"
        occupation.refresh()
        clock.advance(PAUSE_GRACE_S - 1.0)
        occupation.refresh()
        assert causes == []
        clock.advance(1.0)
        occupation.refresh()
    assert causes == ["its owner has paused it"]


async def test_a_rank_gets_the_memory_of_what_ran_before_it() -> None:
    units, unloaded = Units(), list[str]()
    units.is_working = True

    async def unload(cause: str) -> None:
        assert not units.is_working
        unloaded.append(cause)

    clock = ManualClock()
    await Occupation(units, berth(clock), objection=lambda: "", clock=clock).make_room(unload)
    assert (units.given_back, unloaded) == (1, ["a group needs its memory"])


async def test_memory_that_a_killed_rank_keeps_asks_for_a_restart_until_it_is_back() -> None:
    wired = [10 * 2**30]
    clock = ManualClock()
    residue = Residue(clock, wired=lambda: wired[0])
    residue.note()
    wired[0] = 40 * 2**30
    settling = asyncio.create_task(residue.settle(held_bytes=40 * 2**30))
    await clock.run_for(5.0)
    assert settling.done(), "it does not come any more"
    assert "32.2 GB of its memory did not come back from a group that ended: restart that Mac" in residue.reason()
    wired[0] = 11 * 2**30
    assert residue.reason() == ""


async def test_a_rank_of_the_next_group_waits_for_that_of_a_lost_one_to_end() -> None:
    place, leaves = berth(ManualClock()), asyncio.Event()

    async def hold(until: asyncio.Event) -> None:
        async with place.occupy(WANTED, objection=place.serves):
            await until.wait()

    first = asyncio.create_task(hold(leaves))
    await asyncio.sleep(0)
    gone = asyncio.Event()
    gone.set()
    second = asyncio.create_task(hold(gone))
    await asyncio.sleep(0)
    assert not second.done()
    leaves.set()
    await asyncio.gather(first, second)
    assert not place.is_occupied
