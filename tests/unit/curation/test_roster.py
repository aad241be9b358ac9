"""A job's plan follows the nodes: those that leave, those that come back, and those whose owner pauses them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from realign_daemon.curation.colleague import Colleague
from realign_daemon.curation.job import Job
from realign_daemon.curation.record import JobRecord, NodeRecord, StageRecord
from realign_daemon.curation.roster import Roster
from realign_daemon.curation.spec import ModelPin
from realign_daemon.engine.api import ModelId
from realign_daemon.models.arrival import Arrived
from realign_daemon.testing.job_home import OneColleague
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.testing.scripted_desk import PIN, job_spec


def colleague(name: str, *, usable_gb: float = 8.0) -> Colleague:
    (one,) = OneColleague().alive()
    facts = replace(one.facts, name=name, usable_bytes=int(usable_gb * 1e9))
    return replace(one, node_id=f"id-{name}", facts=facts, is_self=name == "home")


HOME, STUDIO, LAPTOP = colleague("home"), colleague("studio"), colleague("laptop")
TINY = colleague("tiny", usable_gb=0.000_001)


class Neighbourhood:
    """See Colleagues: whoever the test says is there."""

    def __init__(self, *present: Colleague) -> None:
        self.present = present
        self.news = asyncio.Queue[object]()
        self.measured: list[str] = []

    def alive(self) -> tuple[Colleague, ...]:
        return self.present

    async def measure(self, node_id: str, model: str) -> None:
        self.measured.append(node_id)

    async def fetch(self, node_id: str, pin: ModelPin) -> AsyncGenerator[Arrived]:
        raise ConnectionError(f"{node_id} can get no {pin.name}")
        yield Arrived(source="")

    async def changes(self) -> AsyncIterator[object]:
        while True:
            yield await self.news.get()
            self.news.task_done()


class World:
    def __init__(self, *present: Colleague, **spec: Any) -> None:
        self.neighbourhood = Neighbourhood(*present)
        self.told: list[tuple[str, str]] = []
        record = JobRecord(stages=[StageRecord(name="sft_baseline", title="SFT baseline")])
        self.job = Job(spec=job_spec(**spec), record=record, client_token="t")
        self.clock = ManualClock()
        self.roster = Roster(
            self.neighbourhood, self.job, lambda kind, text: self.told.append((kind, text)), self.clock
        )
        self.roster.plan()

    @property
    def crew(self) -> list[str]:
        return [member.node for member in self.roster.living(PIN.model)]

    async def now(self, *present: Colleague) -> None:
        """These are there from now on, and it is announced."""
        self.neighbourhood.present = present
        self.neighbourhood.news.put_nowait(None)
        await self.neighbourhood.news.join()


async def test_a_job_whose_main_machine_leaves_is_planned_over_the_others_and_again_when_it_returns() -> None:
    world = World(HOME, STUDIO)
    assert world.crew == ["id-home", "id-studio"]
    planning = asyncio.create_task(world.roster.keep_planned())

    await world.now(HOME)
    assert world.crew == ["id-home"]
    await world.now(HOME, STUDIO)
    assert world.crew == ["id-home", "id-studio"]

    planning.cancel()
    assert [kind for kind, _ in world.told] == ["replanned", "replanned"]
    assert world.told[-1][1] == "planned again: home, studio"


@pytest.mark.parametrize(("usable_gb", "batch_size"), [(0.012, 2), (8.0, 8)])
def test_each_node_of_the_crew_runs_together_what_the_plan_says(usable_gb: float, batch_size: int) -> None:
    world = World(colleague("home", usable_gb=usable_gb))
    (member,) = world.roster.living(PIN.model)
    assert world.job.record.plan is not None
    (planned,) = world.job.record.plan["nodes"]
    assert member.batch_size == planned["batch_size"] == batch_size


def test_a_node_has_as_many_requests_at_a_server_as_its_owner_lets_it() -> None:
    far = replace(PIN, name="big-70b@gpu", model=ModelId("far"), weight_bytes=0, endpoint="http://gpu.lan:8000")
    asks = replace(HOME.holdings[0], name=far.name, model=far.model, weight_bytes=0, endpoint=far.endpoint)
    world = World(replace(HOME, holdings=(*HOME.holdings, asks)))
    world.job.spec = replace(world.job.spec, roles=world.job.spec.roles | {"judge": far})
    world.roster.plan()
    (member,) = world.roster.living(far.model)
    assert member.batch_size == 0


async def test_a_job_that_no_living_node_can_go_on_with_waits_and_goes_on_when_one_returns() -> None:
    world = World(TINY, STUDIO)
    assert world.crew == ["id-studio"]

    world.neighbourhood.present = (TINY,)
    assert world.crew == []
    assert "no living node can go on" in world.job.record.warnings[-1]

    world.neighbourhood.present = (TINY, STUDIO)
    assert world.crew == ["id-studio"]


@pytest.mark.parametrize("whose", [HOME, STUDIO])
async def test_a_paused_node_leaves_the_plan_and_comes_back_when_it_is_resumed(whose: Colleague) -> None:
    both = (HOME, STUDIO)
    world = World(*both)

    world.neighbourhood.present = tuple(
        replace(one, facts=replace(one.facts, paused=True)) if one is whose else one for one in both
    )
    assert world.crew == [one.node_id for one in both if one is not whose]
    world.neighbourhood.present = both
    assert world.crew == ["id-home", "id-studio"]


async def test_a_paused_node_is_not_measured() -> None:
    unmeasured = tuple(
        replace(one, holdings=tuple(replace(held, is_measured=False) for held in one.holdings))
        for one in (HOME, STUDIO)
    )
    paused = replace(unmeasured[1], facts=replace(STUDIO.facts, paused=True))
    world = World(unmeasured[0], paused)

    await world.roster.measure()

    assert world.neighbourhood.measured == ["id-home"]


async def test_the_record_says_of_each_node_whether_it_is_there() -> None:
    world = World(HOME, LAPTOP)
    world.job.record.nodes["id-laptop"] = NodeRecord(node_id="id-laptop", name="laptop")

    states: list[str] = []
    for present in ((HOME,), (HOME, LAPTOP)):
        world.neighbourhood.present = present
        world.roster.living(PIN.model)
        states.append(world.job.record.nodes["id-laptop"].state)

    assert states == ["lost", "working"]
