"""Node: the one place where the daemon's parts are put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path

import structlog

from realign_daemon.clock import SystemClock
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.beats import JobDigest
from realign_daemon.cluster.discovery import Announcement, Discovery, own_addresses
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.identity import Identity, load_identity
from realign_daemon.cluster.state import StateFile
from realign_daemon.cluster.view import ClusterView
from realign_daemon.config import Config
from realign_daemon.curation.assignment import JobNode
from realign_daemon.curation.computations import Computations
from realign_daemon.curation.intake import Frozen
from realign_daemon.curation.jobs import Jobs
from realign_daemon.curation.output import Output
from realign_daemon.curation.spec import ModelPin
from realign_daemon.curation.stages.suites import STANDARD_SUITES
from realign_daemon.curation.templates import load as load_templates
from realign_daemon.engine.models import LocalModels
from realign_daemon.engine.supervisor import EngineSettings, EngineSupervisor
from realign_daemon.host.benchmark import Benchmarks
from realign_daemon.host.machine import REFRESH_S, Machine
from realign_daemon.rpc.cluster_servicer import ClusterServicer
from realign_daemon.rpc.curation_servicer import CurationServicer, Routes
from realign_daemon.rpc.job_convert import progress_of
from realign_daemon.rpc.neighbours import Neighbours
from realign_daemon.rpc.server import AddToServer, Server
from realign_daemon.rpc.status_servicer import BenchProgress, LocalStatus, StatusServicer
from realign_daemon.rpc.work_link import WorkLinks
from realign_daemon.rpc.work_servicer import WorkServicer
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.dispatcher import Dispatcher
from realign_daemon.work.executor import Executor
from realign_daemon.work.ledger import Ledger
from realign_daemon.worker.supervisor import Worker
from realign_planner.plan import Role

log = structlog.get_logger()

VERSION = version("realign-cluster")


class Node:
    """A whole daemon."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clock = SystemClock()
        self._started_at_s = self._clock.continuous()
        self._rows = 0  # unit results in the ledger, as of the last look

    async def run(self, ready: Callable[[Address], None]) -> None:
        """Serves until cancelled. `ready` is told the address once it listens.

        Raises:
            RealignError: it cannot start; the text says why.
        """
        config = self._config
        data_dir = config.node.data_dir
        server = Server(
            data_dir=data_dir, listen=config.network.listen, concurrent_calls=config.limits.concurrent_calls
        )
        async with AsyncExitStack() as stack:
            stack.enter_context(server.claim())
            identity = load_identity(data_dir)
            database = Database(data_dir / "ledger.sqlite")
            stack.push_async_callback(database.close)
            await database.open()
            ledger = Ledger(database)
            blobs = BlobStore(data_dir / "blobs")
            worker = Worker()
            stack.push_async_callback(worker.close)
            engine = EngineSupervisor(blobs, data_dir / "cache", _engine_settings(config))
            stack.push_async_callback(engine.close)
            machine = self._machine(identity, engine, is_working=lambda: executor.is_working)
            await machine.start()
            view = self._view(identity, server, machine, lambda: self._digests(jobs, identity))
            neighbours = Neighbours(view)
            links = WorkLinks(node_id=identity.node, channel=lambda node: view.channel(NodeId(node)), blobs=blobs)
            executor: Executor = Executor(
                node_id=identity.node,
                engine=engine,
                models=machine,
                willingness=machine,
                ledger=ledger,
                blobs=blobs,
                clock=self._clock,
                fetch_blob=links.fetch_blob,
            )
            computations = Computations(worker, ledger)
            job_node = JobNode(
                node_id=identity.node,
                version=VERSION,
                ledger=ledger,
                blobs=blobs,
                computations=computations,
                dispatcher=Dispatcher(ledger=ledger, connections=links, clock=self._clock),
                colleagues=neighbours,
                clock=self._clock,
                output=Output(
                    root=data_dir / "curated",
                    blobs=blobs,
                    computations=computations,
                    clock=self._clock,
                    usd_per_node_hour=config.cost.usd_per_node_hour,
                ),
                freeze=lambda roles: freeze(roles, machine, blobs),
            )
            jobs = Jobs(job_node, max_queued=config.limits.queued_jobs)
            await jobs.load()
            services = self._services(
                view=view, machine=machine, neighbours=neighbours, jobs=jobs, executor=executor, blobs=blobs
            )
            async with server.serve(*services), asyncio.TaskGroup() as tasks:
                tasks.create_task(view.run(), name="cluster")
                tasks.create_task(executor.run(), name="executor")
                tasks.create_task(jobs.run(), name="jobs")
                tasks.create_task(self._look_around(machine, executor, ledger), name="machine")
                if config.benchmark.on_start:
                    tasks.create_task(machine.measure_at_start(), name="benchmark")
                ready(server.address)

    def _machine(self, identity: Identity, engine: EngineSupervisor, *, is_working: Callable[[], bool]) -> Machine:
        config = self._config
        return Machine(
            node_id=identity.node,
            version=VERSION,
            config=config,
            engine=engine,
            models=LocalModels(config.models.dirs, config.node.data_dir / "models.json"),
            benchmarks=Benchmarks(
                engine,
                config.node.data_dir,
                duty_fraction=config.engine.duty_fraction,
                budget_s=config.benchmark.budget_s / config.engine.duty_fraction,  # a slowed engine needs as many steps
            ),
            clock=self._clock,
            is_working=is_working,
        )

    def _view(
        self, identity: Identity, server: Server, machine: Machine, digests: Callable[[], tuple[JobDigest, ...]]
    ) -> ClusterView:
        config = self._config

        def addresses() -> tuple[Address, ...]:
            return own_addresses(server.address)

        announcement = Announcement(
            node=identity.node,
            name=config.node.name,
            tag=config.cluster.tag,
            insecure_lan=config.network.insecure_lan,
        )
        return ClusterView(
            identity=identity,
            tag=config.cluster.tag,
            store=StateFile(config.node.data_dir),
            clock=self._clock,
            own_addresses=addresses,
            self_facts=machine.facts,
            jobs=digests,
            static_peers=config.network.peers,
            discovery=Discovery(announcement, addresses=addresses) if config.network.discovery else None,
            insecure_lan=config.network.insecure_lan,
        )

    def _services(
        self,
        *,
        view: ClusterView,
        machine: Machine,
        neighbours: Neighbours,
        jobs: Jobs,
        executor: Executor,
        blobs: BlobStore,
    ) -> tuple[AddToServer, ...]:
        routes = Routes(
            leader=neighbours.leader_channel, home_of=neighbours.home_channel, others=neighbours.other_channels
        )
        curation = CurationServicer(
            jobs=jobs,
            blobs=blobs,
            clock=self._clock,
            routes=routes,
            node_name=self._config.node.name,
            max_source_bytes=self._config.limits.source_bytes,
        )

        async def bench(model: str, force: bool) -> AsyncIterator[BenchProgress]:  # noqa: FBT001 - the servicer's own
            yield BenchProgress(text="measuring arithmetic, memory and the model at growing batch sizes")
            yield BenchProgress(text="measured", facts=await machine.measure(model, force=force))

        cluster = ClusterServicer(view, lambda model, force: machine.measure(model, force=force))
        status = StatusServicer(view, lambda: self._status(jobs), bench)
        work = WorkServicer(executor, blobs)
        return (cluster.add_to, status.add_to, curation.add_to, work.add_to)

    def _status(self, jobs: Jobs) -> LocalStatus:
        return LocalStatus(
            data_dir=self._config.node.data_dir,
            uptime_s=self._clock.continuous() - self._started_at_s,
            jobs=tuple(progress_of(job, now_unix_s=self._clock.unix()) for job in jobs.all()),
            ledger_rows=self._rows,
        )

    def _digests(self, jobs: Jobs, identity: Identity) -> tuple[JobDigest, ...]:
        return tuple(
            JobDigest(job_id=job.spec.job_id, state=job.record.state, home=identity.node) for job in jobs.all()
        )

    async def _look_around(self, machine: Machine, executor: Executor, ledger: Ledger) -> None:
        while True:
            await machine.refresh()
            executor.refresh()
            self._rows = (await ledger.counts())["results"]
            await self._clock.sleep(REFRESH_S)


def freeze(roles: dict[Role, ModelPin], machine: Machine, blobs: BlobStore) -> Frozen:
    """What a job keeps to its end: template versions, and the suites and replay rows that come with its target."""
    model = machine.find(roles["target"].name)
    folder = model.path if model else None
    suites = _beside(folder, "suites.jsonl") or STANDARD_SUITES
    replay = _beside(folder, "replay.jsonl")
    versions: dict[str, str] = {}
    for name in sorted({pin.templates for pin in roles.values()}):
        versions |= load_templates(name).versions
    return Frozen(
        template_versions=versions,
        suites=blobs.put_bytes(suites.read_bytes()),
        replay=blobs.put_bytes(replay.read_bytes()) if replay else None,
    )


def _beside(folder: Path | None, name: str) -> Path | None:
    return folder / name if folder is not None and (folder / name).is_file() else None


def _engine_settings(config: Config) -> EngineSettings:
    return EngineSettings(
        env=config.engine.env,
        duty_fraction=config.engine.duty_fraction,
        stall_timeout_s=config.engine.watchdog_s,
        idle_unload_s=config.engine.idle_unload_s,
    )
