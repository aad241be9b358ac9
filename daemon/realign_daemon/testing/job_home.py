"""Job home: a node that takes jobs, in one process: a real ledger, real files, and an engine that answers by script."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from realign_daemon.curation.assignment import JobNode
from realign_daemon.curation.colleague import Colleague, Colleagues, Holding
from realign_daemon.curation.computations import Computations
from realign_daemon.curation.data_sets import DataSets
from realign_daemon.curation.endings import Endings
from realign_daemon.curation.intake import Frozen
from realign_daemon.curation.intake import Request as JobRequest
from realign_daemon.curation.job import Job
from realign_daemon.curation.jobs import Jobs
from realign_daemon.curation.output import Output
from realign_daemon.curation.run import WORK
from realign_daemon.curation.spec import ModelPin, SourceSpec
from realign_daemon.curation.stages.work import Work
from realign_daemon.decision.campaign import Voters
from realign_daemon.decision.decisions import Decisions
from realign_daemon.decision.messages import Reply, Request
from realign_daemon.decision.store import DecisionStore
from realign_daemon.engine.api import LocalModel
from realign_daemon.journal.decisions import noted_decision
from realign_daemon.models.arrival import Arrived
from realign_daemon.testing.inline_worker import InlineWorker
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.testing.memory_links import MemoryLinks
from realign_daemon.testing.scripted_desk import PIN
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.dispatcher import Dispatcher
from realign_daemon.work.executor import Executor
from realign_daemon.work.ledger import Ledger
from realign_planner.data_types import DataType
from realign_planner.nodes import NodeFacts

NODE = "home"
MODEL = LocalModel(
    name=PIN.name,
    model=PIN.model,
    path=Path("/nowhere"),
    params_b=PIN.params_b,
    active_params_b=PIN.params_b,
    bits=PIN.bits,
    weight_bytes=PIN.weight_bytes,
    templates=PIN.templates,
)
HUB_NAME = "org/Tiny-0.001B"  # under which the same model could be fetched
MOST_QUEUED = 3
SLOTS = 4
DEADLINE_S = 20.0


class OneColleague:
    """See curation.colleague.Colleagues: this node alone, with one model that was measured."""

    def __init__(self, node: str = NODE) -> None:
        self._node = node

    def alive(self) -> tuple[Colleague, ...]:
        """See Colleagues."""
        holding = Holding(
            name=PIN.name,
            model=PIN.model,
            params_b=PIN.params_b,
            active_params_b=PIN.params_b,
            bits=PIN.bits,
            weight_bytes=PIN.weight_bytes,
            templates=PIN.templates,
            is_measured=True,
        )
        facts = NodeFacts(name=self._node, memory_bytes=2**34, usable_bytes=2**33)
        return (Colleague(node_id=self._node, facts=facts, holdings=(holding,), is_self=True),)

    async def measure(self, node_id: str, model: str) -> None:
        """See Colleagues; it has been measured."""

    async def fetch(self, node_id: str, pin: ModelPin) -> AsyncGenerator[Arrived]:
        """See Colleagues; it has what there is."""
        raise ConnectionError(f"{node_id} can get no {pin.name}")
        yield Arrived(source="")

    async def changes(self) -> AsyncIterator[object]:
        """See Colleagues; nobody comes or goes."""
        await asyncio.Event().wait()
        yield None


class _OneModel:
    def find(self, name: str) -> LocalModel | None:
        return MODEL if name in (MODEL.name, HUB_NAME) else None


class _Willing:
    def reason_to_refuse(self) -> str:
        return ""

    def slots(self, model: LocalModel) -> int:  # noqa: ARG002 - it has one
        return SLOTS


class _Nobody:
    async def ask(self, node: str, request: Request) -> Reply:
        raise ConnectionError(f"{node} was asked for {request}, and this node is alone")


class JobHome:
    """Runs jobs while inside `async with`. Entered anew over the same folder it is the daemon after a restart."""

    def __init__(
        self,
        folder: Path,
        *,
        work: Mapping[DataType, Work] = WORK,
        version: str = "1",
        clock: ManualClock | None = None,
        node: str = NODE,
        voters: Voters | None = None,
        living: Callable[[], tuple[str, ...]] | None = None,
        colleagues: Colleagues | None = None,
        reopen: Callable[[Sequence[ModelPin]], Awaitable[None]] | None = None,
    ) -> None:
        """Without `voters` and `living` the node is alone and decides for itself."""
        self.folder = folder
        self.node = node
        self.clock = clock or ManualClock()
        self.database = Database(folder / "ledger.sqlite")
        self.ledger = Ledger(self.database, node_id=node)
        self.blobs = BlobStore(folder / "blobs")
        self.engine = ScriptedEngine(self.blobs)
        computations = Computations(InlineWorker(), self.ledger, self.clock)
        self.output = Output(
            root=folder / "curated",
            blobs=self.blobs,
            computations=computations,
            clock=self.clock,
            usd_per_node_hour=None,
        )
        self._executor = self._an_executor()
        links = MemoryLinks({node: self._executor}, {node: self.blobs}, home=node)
        self.store = DecisionStore(self.database, noted=noted_decision)
        self.decisions = Decisions(
            node=node,
            store=self.store,
            voters=voters or _Nobody(),
            clock=self.clock,
            chance=random.Random(0),  # noqa: S311 - for waits
        )
        self.endings = Endings(
            node_id=node,
            ledger=self.ledger,
            decisions=self.decisions,
            living=living or (lambda: (node,)),
            name_of=lambda node: node,
        )
        self._node = JobNode(
            endings=self.endings,
            node_id=node,
            version=version,
            ledger=self.ledger,
            blobs=self.blobs,
            computations=computations,
            dispatcher=Dispatcher(ledger=self.ledger, connections=links, clock=self.clock),
            colleagues=colleagues or OneColleague(node),
            clock=self.clock,
            output=self.output,
            freeze=lambda _: Frozen(template_versions={}, suites=self.blobs.put_bytes(b""), replay=None),
            work=work,
            reopen=reopen,
        )
        self.jobs = Jobs(self._node, max_queued=MOST_QUEUED)
        self.data_sets = DataSets(ledger=self.ledger, output=self.output)

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        await self.database.open()
        self._stack.push_async_callback(self.database.close)
        await self.jobs.load()
        for name, loop in (("executor", self._executor.run()), ("jobs", self.jobs.run())):
            task = asyncio.create_task(loop, name=name)
            self._stack.push_async_callback(asyncio.gather, task, return_exceptions=True)
            self._stack.callback(task.cancel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def submit(self, text: str = "Sums are easy.", **changes: object) -> Job:
        """A DPO job on a source with this text, a second after the one before."""
        self.clock.advance(1.0)
        source = SourceSpec(name="a.txt", sha256=self.blobs.put_bytes(text.encode()), size_bytes=len(text))
        values: dict[str, object] = {"text": "DPO pairs", "data_type": "dpo", "model": PIN.name, "sources": (source,)}
        return await self.jobs.submit(JobRequest(**{**values, **changes}))  # pyright: ignore[reportArgumentType] - fields by name

    async def until(self, job: Job, condition: Callable[[Job], bool]) -> None:
        """Returns at the job's first news that the condition holds after, or at once where it does."""
        with self.jobs.watch(job) as news:
            async with asyncio.timeout(DEADLINE_S):
                while not condition(job):
                    await anext(news)

    async def until_ended(self, job: Job) -> None:
        """Returns when the job has ended and its files are written."""
        await self.until(job, lambda job: bool(job.record.is_ended and job.record.ended_unix_s and job.closed.is_set()))

    def _an_executor(self) -> Executor:
        async def fetch_blob(_home: str, sha256: str) -> None:
            raise ConnectionError(f"there is no other node that has {sha256}")

        return Executor(
            node_id=self.node,
            engine=self.engine,
            models=_OneModel(),
            willingness=_Willing(),
            ledger=self.ledger,
            blobs=self.blobs,
            clock=self.clock,
            fetch_blob=fetch_blob,
        )
