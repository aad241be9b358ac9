"""Simulation of what the plan assumes of a node: how many units it runs together, of one job and of several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from tests.sim.work_world import MODEL, SLOTS, World, question, running

from realign_daemon.engine.ranks import GroupWish
from realign_daemon.work.dispatcher import Crew
from realign_daemon.work.executor import Executor
from realign_daemon.work.messages import Assign, Capacity, Command, Event
from realign_daemon.work.tray import Session
from realign_daemon.work.units import Unit

GROUP = GroupWish(nodes=("left", "right"), backend="ring", parallelism="tensor")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as built:
        yield built


def left(batch_size: int, group: GroupWish | None = None) -> tuple[Crew, ...]:
    return (Crew(node="left", examples_per_s=1.0, batch_size=batch_size, group=group),)


def questions(first: int, count: int) -> tuple[Unit, ...]:
    return tuple(question(number) for number in range(first, first + count))


async def most_together(world: World, units: tuple[Unit, ...], *, at_least: int) -> int:
    """How many units the node ran together, which were so many at some time."""
    engine = world.engines["left"]
    engine.most_within = 0
    engine.hold()
    order = asyncio.create_task(world.run(units))
    await world.until(lambda: engine.within >= at_least)
    engine.release()
    assert len((await order).results) == len(units)
    return engine.most_within


class Counting:
    """An executor, and how many units came to it."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.come = 0

    def open(self, emit: Callable[[Event], None]) -> Session:
        return self._executor.open(emit)

    def handle(self, session: Session, command: Command) -> None:
        self.come += len(command.units) if isinstance(command, Assign) else 0
        self._executor.handle(session, command)

    def close(self, session: Session) -> None:
        self._executor.close(session)


@pytest.mark.parametrize("group", [None, GROUP])
async def test_a_node_whose_memory_holds_two_sequences_runs_two(world: World, group: GroupWish | None) -> None:
    world.crew = left(2, group)
    assert await most_together(world, questions(0, 20), at_least=2) == 2


async def test_a_node_that_is_given_many_units_runs_no_more_of_them_together_than_it_was_told(world: World) -> None:
    executor, engine = world.executors["left"], world.engines["left"]
    engine.hold()
    work = Assign(units=questions(0, 10), model=MODEL.name, home="left", batch_size=2)
    executor.handle(executor.open(lambda _: None), work)
    await world.until(lambda: engine.within >= 2)
    engine.release()
    await world.until(lambda: not executor.has_units)
    assert len(engine.performed) == 10
    assert engine.most_within == 2


@pytest.mark.parametrize("planned", [0, SLOTS, 100])
async def test_a_node_whose_memory_holds_enough_runs_as_many_as_fill_its_engine(world: World, planned: int) -> None:
    world.crew = left(planned)
    assert await most_together(world, questions(0, 20), at_least=SLOTS) == SLOTS


async def test_a_home_hands_out_little_more_than_what_is_planned_to_run(world: World) -> None:
    counting = Counting(world.executors["left"])
    world.executors["left"] = cast("Executor", counting)
    world.crew = left(2)
    world.engines["left"].hold()
    order = asyncio.create_task(world.run(questions(0, 20)))
    await world.until(lambda: counting.come > 2)
    assert counting.come == 3  # one is there already when one of the two ends
    world.engines["left"].release()
    await order


@pytest.mark.parametrize(("before", "after"), [(SLOTS, 1), (1, SLOTS)])
async def test_what_is_planned_for_a_later_order_counts_and_not_what_was(world: World, before: int, after: int) -> None:
    for first, planned in ((0, before), (20, after)):
        world.crew = left(planned)
        assert await most_together(world, questions(first, 20), at_least=planned) == planned


async def test_a_plan_that_changes_while_units_run_counts_for_those_that_come_next(world: World) -> None:
    engine = world.engines["left"]
    world.crew = left(1)
    engine.hold()
    order = asyncio.create_task(world.run(questions(0, 30)))
    await world.until(lambda: engine.within == 1)
    world.crew = left(3)
    await world.until(lambda: engine.within == 3)
    engine.release()
    await order
    assert engine.most_within == 3


async def test_a_group_hears_what_to_have_room_for_and_stands_when_only_that_changes(world: World) -> None:
    engine = world.engines["left"]
    world.crew = left(3, GROUP)
    await world.run(questions(0, 6))
    formed = engine.wish
    world.crew = left(2, GROUP)
    await world.run(questions(6, 6))
    assert formed is not None
    assert engine.wish is not None
    assert (formed.batch_size, engine.wish.batch_size) == (3, 2)
    assert formed == engine.wish == replace(GROUP, batch_size=9)


async def test_results_that_wait_to_be_confirmed_keep_no_other_unit_of_the_group_from_running(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, is_good = world.engines["left"], asyncio.Event()
    monkeypatch.setattr(engine, "confirmation", is_good.wait)
    world.crew = left(2, GROUP)
    order = asyncio.create_task(world.run(questions(0, 20)))
    await world.until(lambda: len(engine.performed) == 20)
    is_good.set()
    assert len((await order).results) == 20


async def test_a_home_hears_of_its_own_results_that_wait_and_of_no_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, executor = world.engines["left"], world.executors["left"]
    monkeypatch.setattr(engine, "confirmation", asyncio.Event().wait)
    heard: dict[str, list[Event]] = {"one": [], "other": []}
    sessions = {home: executor.open(events.append) for home, events in heard.items()}
    work = Assign(units=questions(0, 3), model=MODEL.name, home="left", group=GROUP, batch_size=3)
    executor.handle(sessions["one"], work)
    await world.until(lambda: len(engine.performed) == 3)
    told = {home: [event.held for event in events if isinstance(event, Capacity)] for home, events in heard.items()}
    assert (told["one"][-1], set(told["other"])) == (3, {0})


async def test_a_group_that_was_formed_for_few_sequences_runs_no_more_when_more_are_planned(world: World) -> None:
    world.crew = left(2, GROUP)
    await world.run(questions(0, 4))
    world.crew = left(4, GROUP)
    assert await most_together(world, questions(4, 20), at_least=2) == 2
