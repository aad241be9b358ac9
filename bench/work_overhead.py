"""What the way of a unit through ledger, executor and dispatcher costs, against the bare engine in the same run.

`python bench/work_overhead.py` prints one JSON document. `ratio` is the speed through the cluster's path (a home and
its own executor: durable before counted) over the speed of the same tasks given to the same engine directly.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path

from realign_daemon.clock import SystemClock
from realign_daemon.engine.api import Generate, LocalModel, Message, Sampler
from realign_daemon.engine.models import LocalModels
from realign_daemon.engine.supervisor import EngineSupervisor
from realign_daemon.testing.memory_links import MemoryLinks
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.dispatcher import Crew, Dispatcher, Order
from realign_daemon.work.executor import Executor
from realign_daemon.work.ledger import Ledger
from realign_daemon.work.units import make_unit

TASKS = 1_500
SLOTS = 64


class Always:
    """A node that is always willing and has one model."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model

    def find(self, name: str) -> LocalModel | None:
        """See executor.Models."""
        return self._model if name == self._model.name else None

    def reason_to_refuse(self) -> str:
        """See executor.Willingness."""
        return ""

    def slots(self, model: LocalModel) -> int:  # noqa: ARG002 - the protocol's
        """See executor.Willingness."""
        return SLOTS


def tasks(model: LocalModel, first: int) -> list[Generate]:
    """Sums for the pocket model, each with its own seed."""
    return [
        Generate(
            model=model.model,
            messages=(Message(role="user", content=f"{10 + number % 90}+{10 + number // 90 % 90}="),),
            sampler=Sampler(temperature=1.0, max_tokens=12),
            seed=first + number,
            template="bench@1",
        )
        for number in range(TASKS)
    ]


async def direct(engine: EngineSupervisor, model: LocalModel) -> float:
    """Tasks per second with as many in flight as the other way has."""
    room = asyncio.Semaphore(SLOTS)

    async def one(task: Generate) -> None:
        async with room:
            await engine.perform(task)

    started = time.perf_counter()
    await asyncio.gather(*(one(task) for task in tasks(model, 0)))
    return TASKS / (time.perf_counter() - started)


async def through_the_cluster(engine: EngineSupervisor, model: LocalModel, folder: Path, blobs: BlobStore) -> float:
    """Tasks per second by dispatcher, executor and ledger."""
    database = Database(folder / "ledger.sqlite")
    await database.open()
    ledger, clock, node = Ledger(database), SystemClock(), Always(model)

    async def fetch(home: str, sha256: str) -> None:  # noqa: ARG001 - the executor's
        raise ConnectionError("nothing is fetched here")

    executor = Executor(
        node_id="node",
        engine=engine,
        models=node,
        willingness=node,
        ledger=ledger,
        blobs=blobs,
        clock=clock,
        fetch_blob=fetch,
    )
    links = MemoryLinks({"node": executor}, {"node": blobs}, home="node")
    running = asyncio.create_task(executor.run())
    started = time.perf_counter()
    outcome = await Dispatcher(ledger=ledger, connections=links, clock=clock).run(
        Order(
            job_id="bench",
            stage="bench",
            model=model.name,
            units=tuple(make_unit(task) for task in tasks(model, TASKS)),
            crew=lambda: (Crew(node="node", examples_per_s=100.0),),
            home="node",
            changed=lambda _: None,
        )
    )
    speed = len(outcome.results) / (time.perf_counter() - started)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await database.close()
    return speed


async def main() -> None:
    """Runs both ways, the direct one before and after, and prints the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blobs = BlobStore(folder / "blobs")
        model = LocalModels((), folder / "models.json").find("pocket")
        assert model is not None, "the pocket model ships with the package"
        engine = EngineSupervisor(blobs, folder / "cache")
        await engine.load(model)
        await direct(engine, model)  # warms up
        before = await direct(engine, model)
        cluster = await through_the_cluster(engine, model, folder, blobs)
        after = await direct(engine, model)
        await engine.close()
    bare = (before + after) / 2
    figures = {"tasks": TASKS, "direct_per_s": bare, "cluster_per_s": cluster, "ratio": cluster / bare}
    print(json.dumps({"benchmark": "work_overhead", **{key: round(value, 3) for key, value in figures.items()}}))


if __name__ == "__main__":
    asyncio.run(main())
