"""Node: the one place where the daemon's parts are put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import structlog

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.beats import JobDigest
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.identity import Identity
from realign_daemon.cluster.view import ClusterView
from realign_daemon.config import Config
from realign_daemon.curation.assignment import JobNode
from realign_daemon.curation.computations import Computations
from realign_daemon.curation.custody import Custody
from realign_daemon.curation.data_sets import DataSets
from realign_daemon.curation.freezing import freeze
from realign_daemon.curation.jobs import Jobs
from realign_daemon.curation.output import Output
from realign_daemon.curation.replicas import Replicas
from realign_daemon.curation.spec import files_of
from realign_daemon.decision.store import DecisionStore
from realign_daemon.endpoints.asking import Asking
from realign_daemon.endpoints.endpoints import Endpoints
from realign_daemon.endpoints.routing_engine import RoutingEngine
from realign_daemon.engine.api import Engine, LocalModel
from realign_daemon.footing import VERSION, stand
from realign_daemon.grouping import Grouping
from realign_daemon.guard import Guard
from realign_daemon.homing import Homing
from realign_daemon.host.benchmark import Benchmarks
from realign_daemon.host.machine import REFRESH_S, Machine
from realign_daemon.host.pause import Pause
from realign_daemon.host.sleep import SleepWatch
from realign_daemon.host.steward import Steward
from realign_daemon.housekeeping.burials import Burials
from realign_daemon.journal.decisions import noted_decision
from realign_daemon.journal.entries import Ref
from realign_daemon.journal.kinds import KINDS
from realign_daemon.journal.replicator import Replicator
from realign_daemon.keeping import Keeping
from realign_daemon.models.offers import Offers
from realign_daemon.models.users import Users
from realign_daemon.platform import Platform
from realign_daemon.rpc.caller import caller
from realign_daemon.rpc.cluster_servicer import ClusterServicer
from realign_daemon.rpc.curation_servicer import CurationServicer
from realign_daemon.rpc.decision_servicer import DecisionServicer
from realign_daemon.rpc.homes import Routes
from realign_daemon.rpc.host_servicer import HostServicer
from realign_daemon.rpc.job_convert import progress_of
from realign_daemon.rpc.journal_servicer import JournalServicer
from realign_daemon.rpc.link_survey import LinkSurvey
from realign_daemon.rpc.neighbours import Neighbours
from realign_daemon.rpc.server import AddToServer
from realign_daemon.rpc.sources import Sources
from realign_daemon.rpc.status_servicer import BenchProgress, LocalStatus, StatusServicer
from realign_daemon.rpc.work_link import WorkLinks
from realign_daemon.rpc.work_servicer import WorkServicer
from realign_daemon.trust.audit_table import AuditTable
from realign_daemon.trust.trust import Trust
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.dispatcher import Dispatcher
from realign_daemon.work.executor import Executor
from realign_daemon.work.ledger import Ledger

log = structlog.get_logger()

COPY_WAIT_S = 2.0  # of a submit, for a second node to have the job


class Node:
    """A whole daemon."""

    def __init__(self, config: Config, platform: Platform | None = None) -> None:
        """Without a platform it gets a real machine's."""
        self._config = config
        self._platform = platform or Platform()
        self._clock = self._platform.clock
        self._started_at_s = self._clock.continuous()
        self._rows = 0  # unit results in the ledger, as of the last look

    async def run(self, ready: Callable[[Address], None]) -> None:
        """Serves until cancelled. `ready` is told the address once it listens.

        Raises:
            RealignError: it cannot start; the text says why.
        """
        config, platform, data_dir = self._config, self._platform, self._config.node.data_dir
        server = platform.server(config)
        async with AsyncExitStack() as stack:
            stack.enter_context(server.claim())
            footing = await stand(config, platform, stack, kinds=KINDS)
            identity, database, journal, trust = footing.identity, footing.database, footing.journal, footing.trust
            ledger = Ledger(database, node_id=identity.node)
            await ledger.take_home(files_of)
            blobs = BlobStore(data_dir / "blobs")
            worker = platform.worker()
            stack.push_async_callback(worker.close)
            endpoints = Endpoints(
                config.engine.endpoints, environment=platform.environment, clock=self._clock, chance=platform.chance
            )
            grouping = Grouping(
                config,
                platform,
                node=identity.node,
                own=platform.engine(config, blobs, lambda: machine.spare_bytes()),  # noqa: PLW0108 - it is made below
                blobs=blobs,
                find=lambda name: machine.find(name),  # noqa: PLW0108 - as above
                spare_bytes=lambda: machine.spare_bytes(),  # noqa: PLW0108 - as above
                name_of=lambda node: neighbours.name_of(node),  # noqa: PLW0108 - as above
                channel=lambda node: neighbours.node_channel(node),  # noqa: PLW0108 - as above
                host_of=lambda node: neighbours.host_of(node),  # noqa: PLW0108 - as above
            )
            engine = RoutingEngine(grouping.engine, endpoints, self._clock)
            stack.push_async_callback(engine.close)
            pause, sleep = Pause(data_dir, self._clock), SleepWatch(self._clock)
            machine: Machine = self._machine(
                identity,
                engine,
                pause=pause,
                sleep=sleep,
                is_working=lambda: executor.is_working or bool(grouping.berth.serves()),
                serves=grouping.berth.serves,
                endpoint_models=lambda: endpoints.models,
            )
            await machine.start()
            discovery = platform.discovery(
                lambda: guard.announcement(),  # noqa: PLW0108 - there is no guard yet
                addresses=lambda: platform.own_addresses(server.address),
            )
            view = footing.view(
                server,
                discovery,
                facts=lambda: machine.facts(links=survey.links()),
                jobs=lambda: self._digests(jobs, identity),
            )
            neighbours: Neighbours = Neighbours(view)
            survey = LinkSurvey(
                node=identity.node, others=neighbours.other_nodes, channel=view.channel, clock=self._clock
            )
            links = WorkLinks(node_id=identity.node, channel=lambda node: view.channel(NodeId(node)), blobs=blobs)
            keeping = Keeping(node=identity.node, config=config, blobs=blobs, neighbours=neighbours, clock=self._clock)
            replicator = keeping.replicator(journal, links, machine)
            executor: Executor = Executor(
                node_id=identity.node,
                engine=engine,
                models=machine,
                willingness=machine,
                ledger=ledger,
                blobs=blobs,
                clock=self._clock,
                fetch_blob=links.fetch_blob,
                node_name=config.node.name,
            )
            wakelock = platform.wakelock(self._clock.continuous)
            stack.push_async_callback(wakelock.close)
            occupation = grouping.occupation(executor, machine.objection)
            steward = Steward(
                host=machine,
                pause=pause,
                sleep=sleep,
                work=occupation,
                memory=engine,
                lock=wakelock,
                clock=self._clock,
                woke=discovery.wake,
            )
            computations = Computations(worker, ledger, self._clock)
            store = DecisionStore(database, noted=noted_decision)
            homing = Homing(node=identity.node, config=config, platform=platform, neighbours=neighbours)
            decisions, endings = homing.deciding(store, ledger)
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
                endings=endings,
                freeze=lambda roles: freeze(roles, machine.find, blobs),
                work=platform.work,
                random_bytes=platform.random_bytes,
                reopen=endpoints.reopen,
            )
            jobs = Jobs(job_node, max_queued=config.limits.queued_jobs, max_units=config.limits.units_per_job)
            await jobs.load()
            custody = homing.custody(job_node, jobs, decisions, view)
            staging, files, sources = keeping.files(links)
            models, offers = keeping.models(
                weights := keeping.weights(), machine, Users(ledger, jobs.all), platform.worker, trust
            )
            services = self._services(
                view=view,
                machine=machine,
                neighbours=neighbours,
                jobs=jobs,
                executor=executor,
                job_node=job_node,
                sources=sources,
                replicator=replicator,
                trust=trust,
                custody=custody,
                offers=offers,
                endpoints=endpoints,
            )
            guard: Guard = Guard(
                config,
                server=server,
                trust=trust,
                audit=AuditTable(database, self._clock),
                view=view,
                neighbours=neighbours,
                owner_of=jobs.owner_of,
                rehome=custody.adopt_all,
                clock=self._clock,
            )
            services = (
                *services,
                *guard.services,
                HostServicer(steward, machine.facts).add_to,
                files.add_to,
                models.add_to,
                grouping.servicer(
                    occupation, refusal=machine.reason_to_refuse, is_wanted=lambda: executor.is_wanted
                ).add_to,
                JournalServicer(journal).add_to,
                DecisionServicer(store).add_to,
                (housekeeping := keeping.housekeeping(database, staging, weights, trust)).add_to,
            )
            async with (
                server.serve(*services, opening=guard.opening, owner=guard.owner),
                asyncio.TaskGroup() as tasks,
            ):
                loops = {
                    "guard": guard.run(),
                    "disk": database.watch(),
                    "ballast": footing.keep_ballast(),
                    "journal": replicator.run(),
                    "cluster": view.run(),
                    "executor": executor.run(),
                    "jobs": homing.run(jobs, custody, replicator),
                    "uploads": staging.run(),
                    "garbage": housekeeping.run(),
                    "burials": Burials(database, bury=jobs.bury, clock=self._clock).run(),
                    "machine": self._look_around(machine, steward, ledger),
                    "links": survey.run(),
                    "cables": machine.watch_cables(),
                    "endpoints": endpoints.run(),
                }
                for name, loop in loops.items():
                    tasks.create_task(loop, name=name)
                if config.benchmark.on_start:
                    tasks.create_task(machine.measure_at_start(), name="benchmark")
                ready(server.address)

    def _machine(
        self,
        identity: Identity,
        engine: Engine,
        *,
        pause: Pause,
        sleep: SleepWatch,
        is_working: Callable[[], bool],
        serves: Callable[[], str],
        endpoint_models: Callable[[], tuple[LocalModel, ...]],
    ) -> Machine:
        config, clock, senses = self._config, self._clock, self._platform.senses
        return Machine(
            node_id=identity.node,
            version=VERSION,
            config=config,
            engine=engine,
            models=self._platform.models(config),
            benchmarks=Benchmarks(
                engine,
                config.node.data_dir,
                duty_fraction=config.engine.duty_fraction,
                budget_s=config.benchmark.budget_s / config.engine.duty_fraction,  # a slowed engine needs as many steps
                software=senses.software,
                now=lambda: datetime.fromtimestamp(clock.unix(), UTC),
            ),
            clock=clock,
            pause=pause,
            sleep=sleep,
            is_working=is_working,
            serves=serves,
            endpoint_models=endpoint_models,
            senses=senses,
        )

    def _services(
        self,
        *,
        view: ClusterView,
        machine: Machine,
        neighbours: Neighbours,
        jobs: Jobs,
        executor: Executor,
        job_node: JobNode,
        sources: Sources,
        replicator: Replicator,
        trust: Trust,
        custody: Custody,
        offers: Offers,
        endpoints: Endpoints,
    ) -> tuple[AddToServer, ...]:
        routes = Routes(
            leader=neighbours.leader_channel,
            home_of=neighbours.home_channel,
            others=neighbours.other_channels,
            channel=neighbours.node_channel,
            own=trust.spki,
        )
        asking = Asking(
            endpoints,
            hosts=self._config.engine.endpoint_hosts,
            role=lambda: caller().role,
            is_known=lambda name: any(one.name == name for node in neighbours.alive() for one in node.holdings),
        )
        curation = CurationServicer(
            jobs=jobs,
            data_sets=DataSets(ledger=job_node.ledger, output=job_node.output),
            blobs=job_node.blobs,
            clock=self._clock,
            routes=routes,
            node_name=self._config.node.name,
            limits=self._config.limits,
            sources=sources,
            replicas=Replicas(
                job_node.ledger,
                away=lambda node: neighbours.away(node, now_unix_s=self._clock.unix()),
                copies=lambda job_id: replicator.copies(Ref(kind="job", ref=job_id), within_s=COPY_WAIT_S),
            ),
            custody=custody,
            completed=offers.completed,
            asking=asking.completed,
        )

        async def bench(model: str, force: bool) -> AsyncIterator[BenchProgress]:  # noqa: FBT001 - the servicer's own
            yield BenchProgress(text="measuring arithmetic, memory and the model at growing batch sizes")
            yield BenchProgress(text="measured", facts=await machine.measure(model, force=force))

        cluster = ClusterServicer(view, lambda model, force: machine.measure(model, force=force))
        status = StatusServicer(view, lambda: self._status(jobs, replicator), bench)
        work = WorkServicer(executor, job_node.blobs)
        return (cluster.add_to, status.add_to, curation.add_to, work.add_to)

    def _status(self, jobs: Jobs, replicator: Replicator) -> LocalStatus:
        return LocalStatus(
            data_dir=self._config.node.data_dir,
            uptime_s=self._clock.continuous() - self._started_at_s,
            jobs=tuple(progress_of(job, now_unix_s=self._clock.unix()) for job in jobs.all()),
            ledger_rows=self._rows,
            under_replicated=replicator.under_replicated,
            lacks_room=replicator.lacks_room,
        )

    def _digests(self, jobs: Jobs, identity: Identity) -> tuple[JobDigest, ...]:
        return tuple(
            JobDigest(job_id=job.spec.job_id, state=job.record.state, home=identity.node) for job in jobs.all()
        )

    async def _look_around(self, machine: Machine, steward: Steward, ledger: Ledger) -> None:
        while True:
            await machine.refresh()
            await steward.look()
            self._rows = await ledger.result_count(now_s=self._clock.continuous())
            await self._clock.sleep(REFRESH_S)
