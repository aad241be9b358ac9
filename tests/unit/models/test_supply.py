"""Which nodes a job's models are brought to, by whom, and what the job says meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace

import pytest
from tests.unit.models.conftest import NAME

from realign_daemon.curation.colleague import Colleague
from realign_daemon.curation.job import Job
from realign_daemon.curation.record import JobRecord, StageRecord
from realign_daemon.curation.spec import ModelPin
from realign_daemon.engine.api import ModelId
from realign_daemon.errors import BadInput, HubUnreachable, RealignError
from realign_daemon.models.arrival import HUB, Arrived
from realign_daemon.models.supply import Supply
from realign_daemon.testing.job_home import OneColleague
from realign_daemon.testing.scripted_desk import PIN, job_spec

WANTED = replace(PIN, name=NAME, model=ModelId("t"), weight_bytes=4_000, revision="c0ffee")
HALF = Arrived(source=HUB, bytes_done=2_000_000_000, bytes_total=4_000_000_000, bytes_per_s=10_000_000)


def colleague(name: str, *, room_bytes: int = 10_000) -> Colleague:
    (one,) = OneColleague().alive()
    facts = replace(one.facts, name=name)
    return replace(one, node_id=f"id-{name}", facts=facts, holdings=(), room_bytes=room_bytes, is_self=name == "home")


class Neighbourhood:
    """See Colleagues: a node that fetches a model has it from then on, unless the test says that it fails."""

    def __init__(self, *names: str) -> None:
        self.present = {f"id-{name}": colleague(name) for name in names}
        self.failing: dict[str, RealignError | ConnectionError] = {}
        self.fetched: list[str] = []
        self.news = asyncio.Queue[object]()
        self.waited_for = asyncio.Event()
        self.on_fetch: Callable[[], None] = lambda: None

    def alive(self) -> tuple[Colleague, ...]:
        return tuple(self.present.values())

    async def measure(self, node_id: str, model: str) -> None:
        """It is as fast as any."""

    async def fetch(self, node_id: str, pin: ModelPin) -> AsyncGenerator[Arrived]:
        self.fetched.append(node_id)
        yield HALF
        self.on_fetch()
        if node_id in self.failing:
            raise self.failing[node_id]
        self.give(node_id, pin)

    def give(self, node_id: str, pin: ModelPin) -> None:
        (one,) = OneColleague().alive()
        held = replace(one.holdings[0], name=pin.name, model=pin.model)
        self.present[node_id] = replace(self.present[node_id], holdings=(held,))

    async def changes(self) -> AsyncIterator[object]:
        self.waited_for.set()
        while True:
            yield await self.news.get()


class World:
    def __init__(self, *names: str) -> None:
        self.nodes = Neighbourhood(*names)
        self.told: list[tuple[str, str]] = []
        spec = replace(job_spec(), roles=dict.fromkeys(job_spec().roles, WANTED))
        self.job = Job(spec=spec, record=JobRecord(stages=[StageRecord(name="s", title="S")]), client_token="t")
        self.supply = Supply(self.nodes, self.job, lambda kind, text: self.told.append((kind, text)))
        self.planned = tuple(self.nodes.present)

    def plan(self) -> None:
        """Every node that has the model or room for it, in the order of its name."""
        able = self.supply.usable(self.nodes.alive())
        self.supply.follow({one.node_id: (WANTED,) for one in able if one.could_hold((WANTED,))})


async def test_a_model_that_no_node_has_comes_to_the_home_first_and_the_job_says_how_far_it_is() -> None:
    world = World("attic", "home")
    seen: list[tuple[str, str]] = []
    stage = world.job.record.stages[0]
    world.nodes.on_fetch = lambda: seen.append((stage.state, stage.activity))
    await world.supply.first(world.plan)
    assert world.nodes.fetched == ["id-home"]
    assert seen == [("running", f"home gets {NAME} from the hub: 2.00 of 4.00 GB, about 3 min left")]
    assert (stage.state, stage.activity) == ("waiting", "")


async def test_a_node_that_fails_leaves_it_to_the_next_and_is_planned_for_no_more() -> None:
    world = World("attic", "home")
    world.nodes.failing["id-home"] = ConnectionError("its network is down")
    await world.supply.first(world.plan)
    assert world.nodes.fetched == ["id-home", "id-attic"]
    assert ("warning", "home could not get what the job needs: its network is down") in world.told
    assert [one.room_bytes for one in world.supply.usable(world.nodes.alive())] == [10_000, 0]


async def test_a_model_that_nobody_may_have_fails_the_job_with_the_reason() -> None:
    world = World("home")
    world.nodes.failing["id-home"] = BadInput(f"{NAME} is gated")
    with pytest.raises(BadInput, match="is gated"):
        await world.supply.first(world.plan)


async def test_a_network_that_is_down_is_waited_for_and_a_node_that_comes_back_ends_the_wait() -> None:
    world = World("home")
    world.nodes.failing["id-home"] = HubUnreachable("the hub can't be reached")
    waiting = asyncio.create_task(world.supply.first(world.plan))
    stage = world.job.record.stages[0]
    await world.nodes.waited_for.wait()
    assert stage.activity == "waiting: the hub can't be reached"
    world.nodes.failing.clear()
    world.nodes.news.put_nowait("a node came")
    await waiting
    assert world.nodes.fetched == ["id-home", "id-home"]


async def test_what_one_node_has_is_brought_to_the_others_of_the_plan_beside_the_work() -> None:
    world = World("attic", "home", "tiny")
    world.nodes.present["id-tiny"] = colleague("tiny", room_bytes=10)
    world.nodes.give("id-home", WANTED)
    await world.supply.first(world.plan)
    assert world.nodes.fetched == []
    replanned = asyncio.Event()
    world.nodes.failing["id-attic"] = ConnectionError("it broke off")
    running = asyncio.create_task(world.supply.run(replanned.set))
    world.plan()
    await replanned.wait()
    assert world.nodes.fetched == ["id-attic"]
    world.plan()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert world.nodes.fetched == ["id-attic"]


def test_what_realign_ships_is_brought_to_nobody_and_what_has_no_room_neither() -> None:
    one = colleague("attic", room_bytes=WANTED.weight_bytes)
    assert one.could_hold((WANTED,))
    assert not one.could_hold((WANTED, replace(WANTED, model=ModelId("u"))))
    assert not one.could_hold((replace(WANTED, name="pocket"),))
