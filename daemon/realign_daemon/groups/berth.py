"""Berth: this node's place for a rank of a group, at most one at a time, whoever the head is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Protocol

import psutil
import structlog

from realign_daemon.clock import Clock
from realign_daemon.engine.api import EngineStatus, GroupPart, LocalModel, Progress
from realign_daemon.engine.errors import BadTask, EngineDied
from realign_daemon.engine.ranks import GroupPlan, Holding, Rank, RankEvent
from realign_daemon.engine.supervisor import SLOWEST_DISK_BYTES_PER_S, needed_bytes
from realign_daemon.groups import canary
from realign_daemon.groups.messages import Logprobs, Prepare
from realign_daemon.groups.references import References
from realign_daemon.groups.residue import Residue
from realign_daemon.groups.singing import reference
from realign_planner.models import CACHE_TOKENS

log = structlog.get_logger()

STOPPED = "a signal had stopped its process"
_STOPPED_LOOK_S = 1.0
# A node may hear of a group's successor before it hears that the group itself is lost: silence is noticed after 4 s.
_FREE_WITHIN_S = 4.0
_STALL_S = 60.0  # as [engine] watchdog_s: a step of one machine by itself is never that long


class RankProcess(Protocol):
    """See engine.process.EngineProcess."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    @property
    def in_flight(self) -> int:
        """How many requests wait for their reply."""
        ...

    async def request(
        self, body: Mapping[str, object], *, stall_timeout_s: float, progress: Progress | None = None
    ) -> dict[str, Any]:
        """The reply. Raises BadTask, EngineDied."""
        ...

    async def gathered(self, parts: bytes) -> None:
        """Answers a Gather."""
        ...

    async def until_ended(self) -> EngineDied:
        """How it ended, once it has."""
        ...

    async def kill(self, cause: str) -> None:
        """Ends it at once."""
        ...


class StartProcess(Protocol):
    """Starts an engine child, as a rank or by itself."""

    async def __call__(self, rank: Rank | None, *, model: str, on_event: Callable[[RankEvent], None]) -> RankProcess:
        """A process that runs; a rank is in no group yet."""
        ...


class RankRefused(Exception):
    """This node cannot be the rank; the text says why, to be read after the node's name."""


def load_patience_s(model: LocalModel) -> float:
    """How long a load may be silent."""
    return _STALL_S + model.weight_bytes / SLOWEST_DISK_BYTES_PER_S


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped the process, so that it does nothing until another one comes."""
    with suppress(psutil.Error):
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    return False


def share_of(wanted: Prepare) -> float:
    """The part of a model's weights that a rank holds, 0..1."""
    if wanted.parallelism == "data":
        return 1.0
    if wanted.split:
        return wanted.split[wanted.rank] / sum(wanted.split)
    return 1 / wanted.size


def rank_bytes(model: LocalModel, wanted: Prepare) -> int:
    """Memory that a rank takes with the cache of the batch that is planned."""
    return needed_bytes(model, share=share_of(wanted), sequences=max(1, wanted.batch_size))


class Berth:
    """Who wants it goes through `occupy`."""

    def __init__(
        self,
        *,
        find: Callable[[str], LocalModel | None],
        start: StartProcess,
        spare_bytes: Callable[[], int],
        references: References,
        residue: Residue,
        mlx: str,
        clock: Clock,
    ) -> None:
        """`find` gives the model of a registry name, `spare_bytes` the memory that a model may take now."""
        self.find, self.start, self.spare_bytes = find, start, spare_bytes
        self.references, self.residue, self.mlx, self.clock = references, residue, mlx, clock
        self._place: Place | None = None
        self._free = asyncio.Event()
        self._free.set()

    @property
    def is_occupied(self) -> bool:
        """Whether there is a rank, or will be one in a moment."""
        return self._place is not None

    def serves(self) -> str:
        """Which group of another head has this node, to be read after the node's name; "" when none has."""
        place = self._place
        if place is None or place.wanted.rank == 0:
            return ""
        wanted = place.wanted
        return f"it is rank {wanted.rank} of {wanted.size} of {wanted.model}, which {wanted.head} leads"

    def status(self) -> EngineStatus | None:
        """The rank as an engine; None without one."""
        return self._place and self._place.status()

    def give_up(self, cause: str) -> None:
        """Has the rank ended: its node's owner wants it."""
        if self._place is not None:
            self._place.give_up(cause)

    @asynccontextmanager
    async def occupy(self, wanted: Prepare, *, objection: Callable[[], str] = str) -> AsyncGenerator[Place]:
        """The place, until the block ends: then the rank is killed and its memory is back.

        Waits a while for one that another group has; then `objection` is asked why it may not be taken, "" when it may.

        Raises:
            RankRefused: there is an objection, or another group has it.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_FREE_WITHIN_S):
                await self._free.wait()
        if reason := objection():
            raise RankRefused(reason)
        if self._place is not None:
            taken = self._place.wanted
            raise RankRefused(f"it is rank {taken.rank} of {taken.model} already, which {taken.head} leads")
        place = self._place = Place(self, wanted)
        self._free.clear()
        try:
            yield place
        finally:
            try:
                await place.leave()
            finally:
                self._place = None
                self._free.set()


class Place:
    """A rank's way from the question whether it may be one to its end."""

    def __init__(self, berth: Berth, wanted: Prepare) -> None:
        self.wanted = wanted
        self.distrusts = False  # set before its end: what it was measured by is to be found out anew
        self.lacks_reference = False  # the head's: no node alone has found what the group should compute
        self.on_give_up: Callable[[str], None] = lambda _: None
        self._berth = berth
        self._process: RankProcess | None = None
        self._guarding: asyncio.Task[None] | None = None
        self._held_bytes = 0

    @property
    def process(self) -> RankProcess | None:
        """The rank, once it was started."""
        return self._process

    async def prepare(self, vacate: Callable[[], Awaitable[None]]) -> Logprobs:
        """What this node by itself finds for the canary, or () where the model does not fit it. `vacate` makes room.

        Raises:
            RankRefused: it cannot be the rank.
        """
        model = self._model()
        await vacate()
        if reason := self._berth.residue.reason():
            raise RankRefused(reason)
        needed, free = rank_bytes(model, self.wanted), self._berth.spare_bytes()
        if needed > free:
            raise RankRefused(
                f"its part of {model.name} needs {needed / 1e9:.2f} GB and {free / 1e9:.2f} GB are free: close "
                "applications there, choose fewer bits, or give it fewer layers"
            )
        return await self._reference(model)

    async def start(self, plan: GroupPlan, on_event: Callable[[RankEvent], None]) -> RankProcess:
        """The rank's process. Raises RankRefused."""
        model = self._model()

        def noted(event: RankEvent) -> None:
            if isinstance(event, Holding):
                self._held_bytes = event.active_bytes
            on_event(event)

        self._berth.residue.note()
        rank = Rank(plan=plan, rank=self.wanted.rank, folder=model.path)
        self._process = await self._berth.start(rank, model=model.name, on_event=noted)
        self._guarding = asyncio.create_task(self._end_once_stopped(self._process), name="rank.guard")
        log.info("rank.started", group=plan.group, rank=rank.rank, model=model.name, pid=self._process.pid)
        return self._process

    async def leave(self) -> None:
        """Kills the rank: one that waits for a lost peer hears nothing else."""
        if self.distrusts:
            await asyncio.to_thread(self._berth.references.forget, self.wanted.model_id)
        if self._guarding is not None:
            self._guarding.cancel()
        if self._process is not None:
            await self._process.kill("its group is over")
            await self._berth.residue.settle(held_bytes=self._held_bytes)

    def give_up(self, cause: str) -> None:
        """Says so to whoever occupies the place, who ends it."""
        self.on_give_up(cause)

    def status(self) -> EngineStatus:
        """The rank as an engine."""
        wanted, process = self.wanted, self._process
        return EngineStatus(
            state="starting" if process is None else "busy" if process.in_flight else "ready",
            model=wanted.model,
            pid=process.pid if process else 0,
            rss_bytes=self._held_bytes,
            group=GroupPart(
                group=wanted.group,
                rank=wanted.rank,
                backend=wanted.backend,
                parallelism=wanted.parallelism,
                nodes=wanted.nodes,
                lacks_reference=self.lacks_reference,
            ),
        )

    async def _end_once_stopped(self, process: RankProcess) -> None:
        """While a group forms no beat is due, so that nobody would miss those of a process that a signal stopped."""
        while not is_stopped(process.pid):
            await self._berth.clock.sleep(_STOPPED_LOOK_S)
        await process.kill(STOPPED)

    def _model(self) -> LocalModel:
        wanted, mlx = self.wanted, self._berth.mlx
        model = self._berth.find(wanted.model)
        if model is None or model.model != wanted.model_id:
            raise RankRefused(f"it has not the weights of {wanted.model} that {wanted.head} has: fetch them there")
        if mlx != wanted.mlx:
            raise RankRefused(f"it has MLX {mlx} and {wanted.head} has {wanted.mlx}: install the same version on both")
        return model

    async def _reference(self, model: LocalModel) -> Logprobs:
        references = self._berth.references
        known = await asyncio.to_thread(references.of, model.model)
        spare = self._berth.spare_bytes()
        sequences = [-(-canary.most_tokens(length) // CACHE_TOKENS) for length in range(canary.OF_ONE_NODE)]
        lengths = sum(needed_bytes(model, sequences=count) <= spare for count in sequences)
        if known or not lengths:
            return known
        found = await self._alone(model, lengths)
        await asyncio.to_thread(references.keep, model.model, found)
        return found

    async def _alone(self, model: LocalModel, lengths: int) -> Logprobs:
        process = await self._berth.start(None, model=model.name, on_event=lambda _: None)
        try:
            body = {"op": "load", "path": str(model.path)}
            await process.request(body, stall_timeout_s=load_patience_s(model))
            ask = partial(process.request, stall_timeout_s=load_patience_s(model))
            return await reference(ask, model.model, lengths)
        except (EngineDied, BadTask) as error:
            raise RankRefused(f"it could not compute with {model.name} by itself: {error}") from error
        finally:
            await process.kill("it has said what it finds")
