"""Simulation of a home and its nodes: what is computed, how often, and by whom, when links and engines fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.sim.work_world import MODEL, SLOTS, World, question, running

from realign_daemon.engine.api import Generate, Message, Result, Sampler, Sha256, Train, TrainSettings
from realign_daemon.engine.codec import encode
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.work.dispatcher import Crew
from realign_daemon.work.ledger import StoredResult
from realign_daemon.work.units import Unit, make_unit


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as built:
        yield built


async def test_both_nodes_work_and_every_unit_is_computed_once(world: World) -> None:
    units = [question(number) for number in range(60)]
    outcome = await world.run(units)
    assert set(outcome.results) == {unit.key for unit in units}
    assert len(world.performed()) == len(units)
    assert all(engine.performed for engine in world.engines.values())


async def test_running_again_computes_nothing(world: World) -> None:
    units = [question(number) for number in range(20)]
    first = await world.run(units)
    computed = len(world.performed())
    assert (await world.run(units, job="another")).results == first.results
    assert len(world.performed()) == computed


async def test_the_units_of_a_lost_node_go_to_the_other(world: World) -> None:
    world.engines["right"].hold()
    order = asyncio.create_task(world.run([question(number) for number in range(30)]))
    await world.until_done(10)
    world.links.cut("right")
    world.crew = (Crew(node="left", examples_per_s=1.0),)
    outcome = await order
    assert len(outcome.results) == 30
    assert not world.engines["right"].performed


async def test_what_a_node_finished_while_it_was_cut_off_is_not_computed_again(world: World) -> None:
    world.crew = (Crew(node="right", examples_per_s=1.0),)
    world.engines["right"].hold()
    order = asyncio.create_task(world.run([question(number) for number in range(3)]))
    await world.until(lambda: world.engines["right"].status().state == "busy")
    world.links.cut("right")
    world.engines["right"].release()
    world.links.heal("right")
    outcome = await order
    assert len(outcome.results) == 3
    assert len(world.engines["right"].performed) == 3


async def test_an_engine_that_dies_once_costs_a_retry_and_nothing_else(world: World) -> None:
    world.engines["left"].die_on(lambda task: isinstance(task, Generate) and task.seed == 3)
    world.engines["right"].die_on(lambda task: isinstance(task, Generate) and task.seed == 3)
    outcome = await world.run([question(number) for number in range(12)])
    assert len(outcome.results) == 12
    assert outcome.quarantined == {}


async def test_a_poison_unit_is_given_up_and_the_others_are_not_blamed(world: World) -> None:
    for engine in world.engines.values():
        engine.die_on(lambda task: isinstance(task, Generate) and task.seed == 5, times=1_000)
    units = [question(number) for number in range(16)]
    outcome = await world.run(units)
    assert set(outcome.quarantined) == {question(5).key}
    assert len(outcome.results) == 15


async def test_a_poison_unit_is_tried_on_two_nodes(world: World) -> None:
    for engine in world.engines.values():
        engine.die_on(lambda task: isinstance(task, Generate) and task.seed == 5, times=1_000)
    await world.run([question(5)])
    failures = await world.ledgers["left"].failures([question(5).key])
    assert set(failures[question(5).key]) == {"left", "right"}


async def test_the_innocent_of_a_batch_that_died_run_again_by_themselves_and_are_not_counted_against(
    world: World,
) -> None:
    world.crew = (Crew(node="left", examples_per_s=1.0),)
    world.engines["left"].die_on(lambda task: isinstance(task, Generate) and task.seed == 2)
    units = [question(number) for number in range(SLOTS)]
    assert len((await world.run(units)).results) == SLOTS
    assert await world.ledgers["left"].failures([unit.key for unit in units]) == {}


async def test_an_engine_that_cannot_start_costs_no_unit_an_attempt(world: World) -> None:
    world.unusable = {"left"}
    outcome = await world.run([question(number) for number in range(8)])
    assert len(outcome.results) == 8
    assert not world.engines["left"].performed
    assert await world.ledgers["left"].failures(list(outcome.results)) == {}


async def test_a_unit_with_a_blob_name_that_is_no_hash_harms_nobody(world: World) -> None:
    bad = make_unit(
        Generate(
            model=MODEL.model,
            adapter=Sha256("../../etc/passwd"),
            messages=(Message(role="user", content="x"),),
            sampler=Sampler(max_tokens=8),
            seed=1,
            template="t@1",
        )
    )
    outcome = await world.run([bad, question(1)])
    assert set(outcome.quarantined) == {bad.key}
    assert set(outcome.results) == {question(1).key}


async def test_an_abandoned_order_stops_what_runs(world: World) -> None:
    world.engines["left"].hold()
    world.engines["right"].hold()
    order = asyncio.create_task(world.run([question(number) for number in range(8)], is_abandoned=True))
    await world.until(lambda: any(executor.is_working for executor in world.executors.values()))
    order.cancel()
    await asyncio.gather(order, return_exceptions=True)
    await world.until(lambda: not any(executor.is_working for executor in world.executors.values()))
    assert world.performed() == []


async def test_an_interrupted_order_leaves_running_what_runs(world: World) -> None:
    world.engines["left"].hold()
    world.crew = (Crew(node="left", examples_per_s=1.0),)
    order = asyncio.create_task(world.run([question(1)]))
    await world.until(lambda: world.executors["left"].is_working)
    order.cancel()
    await asyncio.gather(order, return_exceptions=True)
    world.engines["left"].release()
    await world.until(lambda: len(world.performed()) == 1)
    assert len((await world.run([question(1)])).results) == 1
    assert len(world.performed()) == 1


async def test_what_a_job_gave_up_is_tried_again_once_it_is_forgiven(world: World) -> None:
    world.bad.add("question 1")
    await world.run([question(1)])
    world.bad.clear()
    await world.ledgers["left"].forgive("job", ["stage"])
    assert set((await world.run([question(1)])).results) == {question(1).key}


async def test_a_task_that_can_never_work_is_given_up_at_once(world: World) -> None:
    world.bad.add("question 1")
    outcome = await world.run([question(1), question(2)])
    assert outcome.quarantined == {question(1).key: "this question can never be answered"}
    assert set(outcome.results) == {question(2).key}


async def test_a_job_does_not_try_again_what_it_has_given_up(world: World) -> None:
    world.bad.add("question 1")
    await world.run([question(1)])
    world.bad.clear()
    assert (await world.run([question(1)])).results == {}
    assert set((await world.run([question(1)], job="another")).results) == {question(1).key}


async def test_a_result_that_came_to_the_home_in_another_way_is_not_computed_again(world: World) -> None:
    """As the ledger of a node that slept is copied here when it wakes."""
    world.willing["left"].reason = "it is measuring itself"
    world.crew = (Crew(node="left", examples_per_s=1.0),)
    order = asyncio.create_task(world.run([question(1), question(2)]))
    await world.until(lambda: any(progress.waiting_because for progress in world.progress))
    late = StoredResult(
        key=question(1).key,
        kind="generated",
        result=encode(await _answer(world, question(1))),
        node="right",
        started_unix_s=0.0,
        busy_s=1.0,
        tokens=1,
    )
    await world.ledgers["left"].add_results([late], now_unix_s=1.0, computed=False)
    world.willing["left"].reason = ""
    world.executors["left"].refresh()
    outcome = await order
    assert outcome.results[question(1).key].node == "right"
    assert world.engines["left"].performed == [question(2).task]


async def _answer(world: World, unit: Unit) -> Result:
    engine = ScriptedEngine(world.stores["right"])
    await engine.load(MODEL)
    return await engine.perform(unit.task)


async def test_a_trained_adapter_comes_to_the_home(world: World) -> None:
    world.crew = (Crew(node="right", examples_per_s=1.0),)
    row = b'{"split":"train","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n'
    dataset = world.stores["left"].put_bytes(row)
    world.stores["right"].put_bytes(row)
    task = Train(model=MODEL.model, method="sft", dataset=dataset, settings=TrainSettings(steps=2), seed=1)
    (result,) = (await world.run([make_unit(task)])).results.values()
    assert result.node == "right"
    assert any(world.stores["left"].has(blob) for blob in _adapters(world))


def _adapters(world: World) -> list[Sha256]:
    return [Sha256(path.name) for path in (world.stores["right"].folder).rglob("*") if path.is_file()]
