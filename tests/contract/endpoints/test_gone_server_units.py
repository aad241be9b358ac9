"""Units whose server goes away under them: none is blamed, and all are done once it is back."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from tests.contract.endpoints.scripted_server import completion, hang, says, scripted

from realign_daemon.clock import SystemClock
from realign_daemon.endpoints.endpoints import Endpoints
from realign_daemon.endpoints.routing_engine import RoutingEngine
from realign_daemon.endpoints.settings import EndpointSettings
from realign_daemon.endpoints.url import read_url
from realign_daemon.engine.api import Generate, LocalModel, Message, Sampler
from realign_daemon.engine.errors import BadTask
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.executor import Executor
from realign_daemon.work.ledger import Ledger
from realign_daemon.work.messages import Assign, Event, UnitDone, UnitFailed
from realign_daemon.work.units import make_unit

pytestmark = pytest.mark.deadline(30)
LISTED, GOOD = says(200, {"data": [{"id": "m"}]}), says(200, completion("fine"))


class Quick(SystemClock):
    """Waits are not waited."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Willing:
    def reason_to_refuse(self) -> str:
        return ""

    def slots(self, model: LocalModel) -> int:
        return model.concurrency


class Asked:
    """The models of servers are all that this node has."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def find(self, name: str) -> LocalModel | None:
        return next((model for model in self._endpoints.models if model.name == name), None)


async def test_units_of_a_server_that_goes_away_are_given_back_without_blame_and_done_when_it_is_back(
    tmp_path: Path,
) -> None:
    endpoints = Endpoints((), environment={}, clock=Quick(), chance=random.Random(1))
    database, blobs = Database(tmp_path / "ledger.sqlite"), BlobStore(tmp_path / "blobs")
    await database.open()
    ledger = Ledger(database)
    executor = Executor(
        node_id="left",
        engine=RoutingEngine(ScriptedEngine(blobs), endpoints, Quick()),
        models=Asked(endpoints),
        willingness=Willing(),
        ledger=ledger,
        blobs=blobs,
        clock=Quick(),
        fetch_blob=lambda home, sha256: asyncio.sleep(0),
    )
    heard: asyncio.Queue[Event] = asyncio.Queue()

    async def outcomes(count: int) -> list[UnitDone | UnitFailed]:
        found: list[UnitDone | UnitFailed] = []
        while len(found) < count:
            event = await heard.get()
            found += [event] if isinstance(event, UnitDone | UnitFailed) else []
        return found

    async with scripted(LISTED, GOOD) as server:
        model = await endpoints.open(server.url)
        tasks = [
            Generate(
                model=model.model,
                messages=(Message(role="user", content=str(number)),),
                sampler=Sampler(max_tokens=4),
                seed=number,
                template="t",
            )
            for number in range(3)
        ]
        units = tuple(map(make_unit, tasks))
        running = asyncio.create_task(executor.run())
        session = executor.open(heard.put_nowait)
        work = Assign(units=units, model=model.name, home="left")

        server.script = [says(500, {"error": "restarting"})]
        for _ in range(4):  # more often than a unit may fail
            executor.handle(session, work)
            lost = await outcomes(len(units))
            assert [one.kind for one in lost if isinstance(one, UnitFailed)] == ["engine_unusable"] * 3
            assert all(server.url in one.message for one in lost if isinstance(one, UnitFailed))
        assert await ledger.failures([unit.key for unit in units]) == {}

        server.script = [LISTED, GOOD]
        executor.handle(session, work)
        done = await outcomes(len(units))
        assert all(isinstance(one, UnitDone) for one in done)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await database.close()


async def test_a_model_that_took_too_long_over_a_task_has_to_answer_again_before_it_gets_another(
    tmp_path: Path,
) -> None:
    async with scripted(chosen=lambda asked: GOOD if asked.body else LISTED) as server:
        settings = EndpointSettings(name="s", url=read_url(server.url), deadline_s=0.3)
        endpoints = Endpoints((settings,), environment={}, clock=Quick(), chance=random.Random(1))
        engine = RoutingEngine(ScriptedEngine(BlobStore(tmp_path / "blobs")), endpoints, Quick())
        model = await endpoints.open(server.url)
        await engine.load(model)
        known = len(server.asked)
        await engine.load(model)
        assert len(server.asked) == known

        server.chosen = lambda asked: hang if asked.body else LISTED
        question = (Message(role="user", content="?"),)
        with pytest.raises(BadTask, match="deadline_s"):
            await engine.perform(
                Generate(model=model.model, messages=question, sampler=Sampler(max_tokens=4), seed=1, template="t")
            )
        server.chosen = lambda asked: GOOD if asked.body else LISTED
        known = len(server.asked)
        await engine.load(model)
        assert len(server.asked) > known
