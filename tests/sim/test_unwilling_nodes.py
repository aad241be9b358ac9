"""Simulation of a home and nodes that take no work just now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.sim.work_world import MODEL, SLOTS, World, question, running

from realign_daemon.work.dispatcher import Crew
from realign_daemon.work.messages import Assign, Capacity, Event, Returned, UnitDone


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as built:
        yield built


async def test_a_node_that_refuses_gets_nothing(world: World) -> None:
    world.willing["right"].reason = "it runs on a battery that is 10% full"
    outcome = await world.run([question(number) for number in range(10)])
    assert len(outcome.results) == 10
    assert not world.engines["right"].performed


async def test_an_order_waits_and_says_why_when_no_node_takes_work(world: World) -> None:
    world.willing["left"].reason = "it is measuring itself"
    world.crew = (Crew(node="left", examples_per_s=1.0),)
    order = asyncio.create_task(world.run([question(1)]))
    await world.until(lambda: any("measuring" in progress.waiting_because for progress in world.progress))
    world.willing["left"].reason = ""
    world.executors["left"].refresh()
    assert len((await order).results) == 1


async def test_only_nodes_that_were_tried_in_vain_are_said_to_be_out_of_reach(world: World) -> None:
    out_of_reach = "no node of the plan can be reached"
    await world.run([question(1)])
    assert out_of_reach not in {progress.waiting_because for progress in world.progress}
    for node in ("left", "right"):
        world.links.cut(node)
    order = asyncio.create_task(world.run([question(2)]))
    await world.until(lambda: any(progress.waiting_because == out_of_reach for progress in world.progress))
    world.links.heal("left")
    assert len((await order).results) == 1


async def test_a_node_that_is_paused_gives_back_what_waits_and_what_runs_too_long(world: World) -> None:
    world.engines["right"].hold()
    order = asyncio.create_task(world.run([question(number) for number in range(40)]))
    await world.until(lambda: world.executors["right"].is_working)
    world.willing["right"].reason = "its owner has paused it"
    world.executors["right"].refresh()
    await world.until_done(40 - SLOTS)
    assert world.executors["right"].is_working
    world.executors["right"].give_back_running()
    assert len((await order).results) == 40
    assert not world.engines["right"].performed
    assert not world.executors["right"].has_units
    assert len(world.engines["left"].performed) == 40


async def test_what_comes_to_a_node_that_has_just_begun_to_refuse_is_given_back_unless_it_runs_there(
    world: World,
) -> None:
    events: list[Event] = []
    world.engines["left"].hold()
    before = world.executors["left"].open(lambda _: None)
    world.executors["left"].handle(before, Assign(units=(question(1),), model=MODEL.name, home="left"))
    await world.until(lambda: world.executors["left"].is_working)
    world.executors["left"].close(before)
    again = world.executors["left"].open(events.append)
    world.willing["left"].reason = "its owner has paused it"
    units = (question(1), question(2))
    world.executors["left"].handle(again, Assign(units=units, model=MODEL.name, home="left"))
    await world.until(lambda: Returned(keys=(question(2).key,)) in events)
    world.engines["left"].release()
    await world.until(lambda: isinstance(events[-1], UnitDone))
    kinds = [type(event) for event in events if not isinstance(event, Returned) or event.keys]
    assert kinds == [Capacity, Capacity, Returned, UnitDone]
