"""A desktop and a laptop in virtual time, each with a real view, ledger, executor and steward; the engine is slow.

Every wait of the cluster is SLOWER times its usual, so that three days cost no more beats than half an hour does.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeFacts, NodeId
from realign_daemon.cluster.timing import DEFAULT, Timing
from realign_daemon.config import PowerConfig
from realign_daemon.engine.api import (
    EngineStatus,
    Generate,
    LocalModel,
    Message,
    ModelId,
    Progress,
    Result,
    Sampler,
    Task,
)
from realign_daemon.host.pause import Pause
from realign_daemon.host.policy import Situation, reason_to_refuse
from realign_daemon.host.power import Power
from realign_daemon.host.sleep import SleepWatch
from realign_daemon.host.steward import Steward
from realign_daemon.rpc.work_link import WorkLinks
from realign_daemon.rpc.work_servicer import WorkServicer
from realign_daemon.testing.memory_network import Network
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.testing.virtual_clock import VirtualClock
from realign_daemon.testing.virtual_cluster import PORT, VirtualNode
from realign_daemon.testing.virtual_loop import VirtualLoop
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.dispatcher import Crew, Dispatcher, Order, Outcome
from realign_daemon.work.executor import Executor
from realign_daemon.work.ledger import Ledger
from realign_daemon.work.units import Unit, UnitKey, make_unit

SLOWER = 120
TIMING = Timing(**{one.name: SLOWER * getattr(DEFAULT, one.name) for one in fields(Timing)})
LOOK_S = 30.0
MINUTE_S = 60.0
HOUR_S = 60 * MINUTE_S
GIB = 2**30
MODEL = LocalModel(
    name="m",
    model=ModelId("m"),
    path=Path("/nowhere"),
    params_b=1.0,
    active_params_b=1.0,
    bits=4,
    weight_bytes=GIB,
)


def question(number: int) -> Unit:
    """One of many."""
    return make_unit(
        Generate(
            model=MODEL.model,
            messages=(Message(role="user", content=f"question {number}"),),
            sampler=Sampler(max_tokens=8),
            seed=number,
            template="t@1",
        )
    )


class SlowEngine(ScriptedEngine):
    """Each task takes so long, however many run."""

    def __init__(self, blobs: BlobStore, task_s: float) -> None:
        super().__init__(blobs)
        self.task_s = task_s
        self.begun: list[Task] = []
        self.unloaded: list[str] = []

    async def perform(self, task: Task, *, progress: Progress | None = None) -> Result:
        self.begun.append(task)
        await asyncio.sleep(self.task_s)
        return await super().perform(task, progress=progress)

    async def unload(self, cause: str) -> None:
        if self.status().state != "absent":
            self.unloaded.append(cause)
            await self.close()


def quick_connection(path: Path) -> sqlite3.Connection:
    """Nothing here loses its power: no flush is waited for."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous=OFF")
    return connection


@dataclass(eq=False, kw_only=True)
class Station(VirtualNode):
    """One machine with everything on it that computes units."""

    folder: Path
    width: int  # units that it computes at a time
    task_s: float
    portable: bool = False
    power: Power = field(default_factory=lambda: Power(source="ac"))
    awake: bool = False  # what its wakelock was told last
    awake_for_nothing: int = 0
    woke_s: list[float] = field(default_factory=list[float])  # how long each sleep was

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.blobs = BlobStore(self.folder / "blobs")
        self.database = Database(self.folder / "ledger.sqlite", connect=quick_connection)
        self.ledger = Ledger(self.database, node_id=self.host.name)
        self.engine = SlowEngine(self.blobs, self.task_s)
        self.pause = Pause(self.folder, self.clock)

    @property
    def facts(self) -> NodeFacts:
        return NodeFacts(
            node_id=NodeId(self.host.name),
            name=self.host.name,
            portable=self.portable,
            power=self.power,
            engine=EngineStatus(state="ready"),
            paused=self.pause.is_on,
            refusal=self.reason_to_refuse(),
        )

    async def run(self) -> None:
        links = WorkLinks(node_id=self.host.name, channel=self._channel, blobs=self.blobs)
        self.links = links
        self.executor = Executor(
            node_id=self.host.name,
            engine=self.engine,
            models=self,
            willingness=self,
            ledger=self.ledger,
            blobs=self.blobs,
            clock=self.clock,
            fetch_blob=links.fetch_blob,
        )
        self.sleep_watch = SleepWatch(self.clock)
        self.steward = Steward(
            host=self,
            pause=self.pause,
            sleep=self.sleep_watch,
            work=self.executor,
            memory=self.engine,
            lock=self,
            clock=self.clock,
            woke=self._woke,
        )
        await self.database.open()
        async with self.serving(WorkServicer(self.executor, self.blobs).add_to) as view, asyncio.TaskGroup() as tasks:
            tasks.create_task(view.run(), name="cluster")
            tasks.create_task(self.executor.run(), name="executor")
            while True:
                await self.steward.look()
                await self.clock.sleep(LOOK_S)

    # What executor and steward ask.

    def find(self, name: str) -> LocalModel | None:
        return MODEL if name == MODEL.name else None

    def slots(self, model: LocalModel) -> int:
        return self.width

    def reason_to_refuse(self) -> str:
        if self.pause.is_on:
            return "its owner has paused it"
        return reason_to_refuse(
            Situation(power=self.power, memory_bytes=32 * GIB, free_bytes=24 * GIB, user_active=self.portable),
            PowerConfig(),
        )

    def reason_to_rest(self) -> str:
        return "the node is paused" if self.pause.is_on else ""

    @property
    def on_mains(self) -> bool:
        return self.power.source != "battery"

    async def keep(self, *, awake: bool, on_mains: bool) -> None:
        self.awake = awake
        self.awake_for_nothing += awake and not self.executor.is_working

    def _woke(self) -> None:
        assert self.sleep_watch.last is not None
        self.woke_s.append(self.sleep_watch.last.slept_s)

    def _channel(self, node: str):  # noqa: ANN202 - whatever the view gives
        return self.view.channel(NodeId(node)) if self.view else None


class World:
    """A desktop that is the home of a job, a laptop, and what lies between them."""

    def __init__(self, loop: VirtualLoop, folder: Path) -> None:
        self.loop = loop
        self.network = Network(loop)
        hosts = {name: self.network.host(name) for name in ("desktop", "laptop")}
        peers = tuple(Address(host=host.ip, port=PORT) for host in hosts.values())

        def station(name: str, **more: Any) -> Station:
            clock = VirtualClock(loop, continuous_skew_s=loop.chance.uniform(0, 1e6))
            return Station(host=hosts[name], peers=peers, clock=clock, timing=TIMING, folder=folder / name, **more)

        self.desktop = station("desktop", width=4, task_s=30 * MINUTE_S)
        self.laptop = station("laptop", width=4, task_s=60 * MINUTE_S, portable=True)
        self.desktop.boot()
        self.laptop.boot()
        self.arrivals: list[tuple[float, str]] = []  # hour, and who computed what was then done

    @property
    def hour(self) -> float:
        return self.loop.time() / HOUR_S

    async def until(self, hour: float) -> None:
        await asyncio.sleep(hour * HOUR_S - self.loop.time())

    def order(self, units: Sequence[Unit]) -> asyncio.Task[Outcome]:
        """The job on its home."""
        dispatcher = Dispatcher(
            ledger=self.desktop.ledger, connections=self.desktop.links, clock=self.desktop.clock, look_every_s=LOOK_S
        )
        order = Order(
            job_id="job",
            stage="stage",
            model=MODEL.name,
            units=tuple(units),
            crew=self._crew,
            home="desktop",
            changed=lambda progress: self.arrivals.extend((self.hour, one.node) for one in progress.finished),
        )
        return self.desktop.host.running.start(dispatcher.run(order), name="job")

    def done_by(self, node: str, since: float, until: float) -> int:
        """Units of the node that the home took in between these hours."""
        return sum(since <= hour < until and who == node for hour, who in self.arrivals)

    def in_flight(self, station: Station) -> set[UnitKey]:
        """What runs there."""
        return {make_unit(task).key for task in station.engine.begun} - {
            make_unit(task).key for task in station.engine.performed
        }

    def computed(self) -> list[UnitKey]:
        """Every time that a unit was computed to its end, anywhere."""
        engines = (self.desktop.engine, self.laptop.engine)
        return [make_unit(task).key for engine in engines for task in engine.performed]

    def _crew(self) -> Sequence[Crew]:
        view = self.desktop.view
        assert view is not None
        speeds = {"desktop": 4 / (30 * MINUTE_S), "laptop": 4 / (60 * MINUTE_S)}
        return [
            Crew(node=member.node, examples_per_s=speeds[member.node])
            for member in view.members()
            if member.state == "alive" and not member.facts.paused
        ]
