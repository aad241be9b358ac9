"""Machine: this node as it is now: its facts for the cluster, its models, and whether it takes work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from realign_daemon.clock import Clock
from realign_daemon.cluster.facts import (
    Cable,
    HostBenchmark,
    KnownModel,
    MeasuredLink,
    MeasuredModel,
    NodeFacts,
    NodeId,
)
from realign_daemon.config import Config
from realign_daemon.engine.api import Engine, LocalModel
from realign_daemon.engine.errors import EngineError
from realign_daemon.engine.supervisor import CHILD_BYTES
from realign_daemon.errors import NotFound
from realign_daemon.host.benchmark import Benchmarks
from realign_daemon.host.disk_room import replicas_room_bytes, work_floor_bytes
from realign_daemon.host.facts import HostFacts
from realign_daemon.host.pause import Pause
from realign_daemon.host.policy import Situation, memory_shortage, reason_to_refuse, reserved_bytes
from realign_daemon.host.pressure import Pressure
from realign_daemon.host.senses import SENSES, Disk, Senses
from realign_daemon.host.sleep import SleepWatch
from realign_daemon.models.manifest import Manifest
from realign_daemon.shortage import outlasted

log = structlog.get_logger()

REFRESH_S = 1.0
MODELS_EVERY_S = 30.0  # how soon a model that was downloaded by hand is noticed
UNMEASURED_SLOTS = 8  # enough to fill small batches, little enough for any memory
CABLES_EVERY_S = 60.0  # how soon a cable that was plugged in or pulled out is noticed
OWNER_EVERY_S = 10.0  # how soon it is noticed that somebody logs in or memory runs short: programs are asked for it


class Shelf(Protocol):
    """Where this machine's models are."""

    def all(self) -> tuple[LocalModel, ...]:
        """Every model that is whole, by name. May take a while."""
        ...

    def manifest(self, model: LocalModel) -> Manifest:
        """The files of one. May take a while. Raises OSError when one has gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Now:
    """What changes while the daemon runs."""

    situation: Situation
    disk: Disk


class Machine:
    """This node. `start` first; `run` keeps what it says up to date."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        version: str,
        config: Config,
        engine: Engine,
        models: Shelf,
        benchmarks: Benchmarks,
        clock: Clock,
        pause: Pause,
        sleep: SleepWatch,
        is_working: Callable[[], bool],
        serves: Callable[[], str] = lambda: "",
        senses: Senses = SENSES,
        endpoint_models: Callable[[], tuple[LocalModel, ...]] = tuple,
    ) -> None:
        """`is_working` says whether the engine has units: it is not measured, and not loaded anew, under them.

        `serves` says which group of another head has this machine, "" when none has. `endpoint_models` are those that
        it asks servers for.
        """
        self._node_id = node_id
        self._version = version
        self._config = config
        self._engine = engine
        self._local_models = models
        self._benchmarks = benchmarks
        self._clock = clock
        self._pause = pause
        self._sleep = sleep
        self._is_working = is_working
        self._serves = serves
        self._senses = senses
        self._endpoint_models = endpoint_models
        self._measuring = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._host: HostFacts
        self._now: _Now
        self._user_active = False
        self._pressure: Pressure = "unknown"
        self._owner_at_s = float("-inf")
        self._was_short = False
        self._models: dict[str, LocalModel] = {}
        self._known_models: tuple[KnownModel, ...] = ()
        self._benchmark: HostBenchmark | None = None
        self._cables: tuple[Cable, ...] = ()
        self._models_at_s = float("-inf")

    async def start(self) -> None:
        """Looks at the machine for the first time."""
        self._host = await asyncio.to_thread(self._senses.facts)
        await self._refresh()

    async def refresh(self) -> None:
        """Looks again at what changes. Where no more files can be opened it stays as it was."""
        with outlasted("machine.not_seen"):
            await self._refresh()

    async def _refresh(self) -> None:
        self._now = await asyncio.to_thread(self._look)
        if self._clock.continuous() - self._models_at_s >= MODELS_EVERY_S:
            await self.look_for_models()

    async def look_for_models(self) -> None:
        """Looks again which models are here."""
        async with self._looking:  # the later look must not give way to an earlier one
            found = await asyncio.to_thread(self._local_models.all)
            self._models = {model.name.lower(): model for model in found}
            self._known_models = tuple(map(_known, found))
            self._models_at_s = self._clock.continuous()
        self._benchmark = self._measured()

    async def watch_cables(self) -> None:
        """Looks again and again which cables RDMA goes over, until cancelled."""
        while True:
            self._cables = await asyncio.to_thread(self._senses.cables)
            await self._clock.sleep(CABLES_EVERY_S)

    async def measure_at_start(self) -> None:
        """Measures the machine and its standard model, unless it was done before, once its owner lets it work.

        Failing is no reason to stop.
        """
        while self.objection():
            await self._clock.sleep(REFRESH_S)
        try:
            await self.measure(self._config.benchmark.model)
        except (EngineError, NotFound) as error:
            log.warning("benchmark.failed", reason=str(error))

    async def measure(self, name: str, *, force: bool = False) -> NodeFacts:
        """This node's facts with the model's speed among them.

        Raises:
            NotFound: no such model here.
            EngineError: it does not fit or does not run.
        """
        model = self.find(name or self._config.benchmark.model)
        if model is None:
            message = f"{self._config.node.name} has no model {name!r}; `realignctl nodes` lists what it has"
            raise NotFound(message)
        async with self._measuring:  # from now on no new work is taken
            while self._is_working():
                await self._clock.sleep(REFRESH_S / 4)
            await self._benchmarks.compute(force=force)
            await self._benchmarks.model(model, force=force)
        self._benchmark = self._measured()
        return self.facts()

    def find(self, name: str) -> LocalModel | None:
        """The model of this name, as of the last look, or a server's; capitals do not matter."""
        wanted = name.lower()
        at_servers = (model for model in self._endpoint_models() if model.name.lower() == wanted)
        return self._models.get(wanted) or next(at_servers, None)

    @property
    def models(self) -> tuple[LocalModel, ...]:
        """Every model that is here, as of the last look; those of servers are not."""
        return tuple(self._models.values())

    async def manifest(self, model: LocalModel) -> Manifest:
        """The files of a model that is here. Raises OSError when one has gone, or only a server has them."""
        if model.endpoint:
            raise OSError(f"{model.name} is at {model.endpoint}, and no file of it is here")
        return await asyncio.to_thread(self._local_models.manifest, model)

    def models_room_bytes(self) -> int:
        """What models may still take of the disk, so that the node goes on taking work."""
        disk = self._now.disk
        return disk.free_bytes - work_floor_bytes(disk.total_bytes)

    def reason_to_refuse(self) -> str:
        """Why this node takes no work just now; empty when it does."""
        if reason := self.objection():
            return reason
        if reason := self._serves():
            return reason
        if self._measuring.locked():
            return "it is measuring itself"
        disk = self._now.disk
        if disk.free_bytes < work_floor_bytes(disk.total_bytes):
            return f"its disk has only {disk.free_bytes / 1e9:.1f} GB left"
        return ""

    def reason_to_rest(self) -> str:
        """See steward.Host."""
        if self._pause.is_on:
            return "the node is paused"
        return memory_shortage(self._now.situation, self._config.power)

    @property
    def on_mains(self) -> bool:
        """See steward.Host."""
        return self._now.situation.power.source != "battery"

    def spare_bytes(self) -> int:
        """Memory that a model may take now: what is free, less what is kept for whoever is logged in."""
        return self._spare(self._senses.free_bytes() - reserved_bytes(self._now.situation, self._config.power))

    @property
    def replicas_room_bytes(self) -> int:
        """What other nodes' results and files may take of this disk; none when it is not above 0."""
        return replicas_room_bytes(self._now.disk.free_bytes)

    def slots(self, model: LocalModel) -> int:
        """Units in flight that fill the engine: the measured peak batch size."""
        measured = self._benchmarks.known_model(model.model)
        return measured.value.peak_batch_size if measured else model.concurrency or UNMEASURED_SLOTS

    def facts(self, *, links: tuple[MeasuredLink, ...] = ()) -> NodeFacts:
        """This node as the cluster should know it, with its links to others."""
        host, now, situation = self._host, self._now, self._now.situation
        reserved = reserved_bytes(situation, self._config.power)
        return NodeFacts(
            node_id=self._node_id,
            name=self._config.node.name,
            version=self._version,
            chip=host.chip,
            os=host.os,
            memory_bytes=host.memory_bytes,
            usable_bytes=self._at_most(min(host.usable_bytes, host.memory_bytes - reserved)),
            free_bytes=max(1, self._spare(situation.free_bytes - reserved)),
            cpu_cores=host.cpu_cores,
            gpu_cores=host.gpu_cores,
            portable=host.portable,
            power=situation.power,
            duty_fraction=self._config.engine.duty_fraction,
            benchmark=self._benchmark,
            engine=self._engine.status(),
            models=(*self._known_models, *map(_known, self._endpoint_models())),
            paused=self._pause.is_on,
            disk_free_bytes=now.disk.free_bytes,
            user_active=situation.user_active,
            refusal=self.reason_to_refuse(),
            pause_left_s=self._pause.left_s,
            last_sleep=self._sleep.last,
            links=links,
            rdma=self._cables,
        )

    def _spare(self, free_bytes: int) -> int:
        """What of it models may take, and the process that loads them, which the owner's limit does not count."""
        return max(0, min(free_bytes, self._at_most(free_bytes) + CHILD_BYTES))

    def _at_most(self, count: int) -> int:
        """So many bytes, as far as the owner lets models have them."""
        limit_gb = self._config.engine.model_memory_gb
        return min(count, int(limit_gb * 1e9)) if limit_gb else count

    def objection(self) -> str:
        """Why this machine's owner wants no work of it just now; empty when it may."""
        if self._pause.is_on:
            return "its owner has paused it"
        return reason_to_refuse(self._now.situation, self._config.power)

    def _measured(self) -> HostBenchmark | None:
        compute = self._benchmarks.known_compute()
        if compute is None:
            return None
        measured: list[MeasuredModel] = []
        for model in (*self._models.values(), *self._endpoint_models()):
            known = self._benchmarks.known_model(model.model)
            if known is not None:
                measured.append(
                    MeasuredModel(
                        model=model.name,
                        model_sha256=model.model,
                        params_b=model.params_b,
                        bits=model.bits,
                        prefill_tps=known.value.prefill_tps,
                        decode_tps=known.value.decode_tps,
                        peak_batch_size=known.value.peak_batch_size,
                        examples_per_s=known.value.examples_per_s,
                        points=known.value.points,
                        measured_at=known.measured_at,
                        noisy=known.value.noisy,
                    )
                )
        return HostBenchmark(
            gflops=compute.value.gflops,
            bandwidth_gbs=compute.value.bandwidth_gbs,
            models=tuple(measured),
            measured_at=compute.measured_at,
            version=compute.conditions,
        )

    def _look(self) -> _Now:
        senses = self._senses
        if self._clock.continuous() - self._owner_at_s >= OWNER_EVERY_S:
            self._user_active, self._pressure = senses.is_in_use(), senses.pressure()
            self._owner_at_s = self._clock.continuous()
        situation = Situation(
            power=senses.power(),
            memory_bytes=self._host.memory_bytes,
            free_bytes=senses.free_bytes(),
            pressure=self._pressure,
            user_active=self._user_active,
            was_short=self._was_short,
        )
        self._was_short = bool(memory_shortage(situation, self._config.power))
        return _Now(situation=situation, disk=senses.disk(self._config.node.data_dir))


def _known(model: LocalModel) -> KnownModel:
    return KnownModel(
        name=model.name,
        sha256=model.model,
        weight_bytes=model.weight_bytes,
        params_b=model.params_b,
        active_params_b=model.active_params_b,
        bits=model.bits,
        templates=model.templates,
        revision=model.revision,
        shape=model.shape,
        endpoint=model.endpoint,
        remote=model.remote,
    )
