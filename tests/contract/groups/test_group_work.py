"""What a home sees of a group that is lost: its units come back unblamed, and work goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from tests.contract.groups.cable import cable
from tests.contract.groups.stations import Stations, question, stations

from realign_daemon.clock import SystemClock
from realign_daemon.engine.api import LocalModel
from realign_daemon.testing.memory_links import MemoryLinks
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.dispatcher import Crew, Dispatcher, Order, Outcome, Progress
from realign_daemon.work.executor import Executor
from realign_daemon.work.ledger import Ledger
from realign_daemon.work.messages import GroupLoss
from realign_daemon.work.units import Unit, make_unit

WORK_GOES_ON_S = 15.0
STUCK_S = 10.0  # 6 s, a beat, a look, and the busy machine


class Willing:
    def reason_to_refuse(self) -> str:
        return ""

    def slots(self, model: LocalModel) -> int:
        return 8


@dataclass(kw_only=True)
class Home:
    """A home on the head's node, which plans for the group until it hears that it was lost."""

    nodes: Stations
    model: LocalModel
    ledger: Ledger
    dispatcher: Dispatcher
    is_abandoned: bool = False  # what it runs was cancelled
    losses: list[GroupLoss] = field(default_factory=list[GroupLoss])
    progress: list[Progress] = field(default_factory=list[Progress])

    def crew(self) -> Sequence[Crew]:
        wish = None if self.losses else self.nodes.wish()
        return [Crew(node=self.nodes.head.name, examples_per_s=1.0, group=wish)]

    async def run(self, units: Sequence[Unit]) -> Outcome:
        return await self.dispatcher.run(
            Order(
                job_id="job",
                stage="stage",
                model=self.model.name,
                units=tuple(units),
                crew=self.crew,
                home=self.nodes.head.name,
                changed=self.progress.append,
                group_lost=self.losses.append,
                is_abandoned=lambda: self.is_abandoned,
            )
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        await self.nodes.until(condition, within_s=60.0)


@asynccontextmanager
async def home(folder: Path, nodes: Stations, model: LocalModel) -> AsyncGenerator[Home]:
    name, clock = nodes.head.name, SystemClock()
    database = Database(folder / "ledger.sqlite")
    await database.open()
    ledger, blobs = Ledger(database), BlobStore(folder / "blobs")
    executor = Executor(
        node_id=name,
        engine=nodes.head.grouping.engine,
        models=nodes.head,
        willingness=Willing(),
        ledger=ledger,
        blobs=blobs,
        clock=clock,
        fetch_blob=cast("Any", None),
    )
    running = asyncio.create_task(executor.run())
    links = MemoryLinks({name: executor}, {name: blobs}, home=name)
    try:
        yield Home(
            nodes=nodes,
            model=model,
            ledger=ledger,
            dispatcher=Dispatcher(ledger=ledger, connections=links, clock=clock),
        )
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await database.close()


async def test_work_goes_on_within_seconds_of_a_killed_rank_and_no_unit_is_blamed(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    units = [make_unit(question(real_model, seed)) for seed in range(200)]
    async with (
        stations(tmp_path, real_model, real_model, canaries=canaries) as nodes,
        home(tmp_path, nodes, real_model) as its,
    ):
        running = asyncio.create_task(its.run(units))
        await its.until(lambda: bool(its.progress) and its.progress[-1].done > 0)
        done = its.progress[-1].done
        assert done < len(units), "the group was lost in the middle of the work"
        os.kill(nodes.pid(1), signal.SIGKILL)
        killed_s = time.monotonic()
        await its.until(lambda: bool(its.losses))
        done = its.progress[-1].done
        await its.until(lambda: its.progress[-1].done > done)
        assert time.monotonic() - killed_s < WORK_GOES_ON_S
        outcome = await running
        assert len(outcome.results) == len(units)
        assert (len(its.losses), its.progress[-1].retried, outcome.quarantined) == (1, 0, {})
        assert its.losses[0].lost == ("node-1",)
        assert its.losses[0].wish == nodes.wish()
        assert await its.ledger.failures([unit.key for unit in units]) == {}


@pytest.mark.long
async def test_ranks_that_live_and_no_longer_reach_each_other_cost_seconds_and_no_unit(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    units = [make_unit(question(real_model, seed)) for seed in range(200)]
    async with (
        cable() as their,
        stations(tmp_path, real_model, real_model, canaries=canaries) as nodes,
        home(tmp_path, nodes, real_model) as its,
    ):
        for node in nodes.all:
            node.cable = their
        running = asyncio.create_task(its.run(units))
        await its.until(lambda: bool(its.progress) and its.progress[-1].done > 0)
        their.pull()
        pulled_s = time.monotonic()
        await its.until(lambda: bool(its.losses))
        assert time.monotonic() - pulled_s < STUCK_S
        assert "it got on with nothing for 6 s" in its.losses[0].cause
        assert len((await running).results) == len(units)


async def test_no_result_of_a_group_is_kept_whose_canary_was_bad(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    units = [make_unit(question(real_model, seed)) for seed in range(8)]
    async with (
        stations(tmp_path, real_model, real_model, canaries=canaries) as nodes,
        home(tmp_path, nodes, real_model) as its,
    ):
        await nodes.head.grouping.engine.load(real_model, nodes.wish())
        nodes.all[1].lies = True
        outcome = await its.run(units)
        assert len(outcome.results) == len(units)
        (loss,) = its.losses
        assert loss.cause.startswith("rank 1 on node-1: canary")
        assert loss.thrown_away == len(units)


@pytest.mark.long
async def test_a_group_without_work_frees_a_node_that_is_wanted_elsewhere(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        await nodes.head.grouping.engine.load(real_model, nodes.wish())
        nodes.all[1].is_wanted = True
        await nodes.until_nothing_is_left(within_s=8.0)


async def test_a_group_whose_work_nobody_wants_any_more_frees_its_nodes_soon(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    units = [make_unit(question(real_model, seed)) for seed in range(400)]
    async with (
        stations(tmp_path, real_model, real_model, canaries=canaries) as nodes,
        home(tmp_path, nodes, real_model) as its,
    ):
        its.is_abandoned = True
        running = asyncio.create_task(its.run(units))
        await its.until(lambda: bool(its.progress) and its.progress[-1].done > 0)
        running.cancel()
        await nodes.until_nothing_is_left(within_s=8.0)
