"""Machine: this node as it is now: its facts for the cluster, its models, and whether it takes work."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from realign_daemon.clock import Clock
from realign_daemon.cluster.facts import HostBenchmark, KnownModel, MeasuredModel, NodeFacts, NodeId
from realign_daemon.config import Config
from realign_daemon.engine.api import Engine, LocalModel
from realign_daemon.engine.errors import EngineError
from realign_daemon.engine.models import LocalModels
from realign_daemon.errors import NotFound
from realign_daemon.host.benchmark import Benchmarks
from realign_daemon.host.facts import HostFacts, free_bytes, read_facts
from realign_daemon.host.power import Power, read_power

log = structlog.get_logger()

REFRESH_S = 1.0
MODELS_EVERY_S = 30.0  # how soon a model that was downloaded by hand is noticed
UNMEASURED_SLOTS = 8  # enough to fill small batches, little enough for any memory
# Below it a node takes no new work: the ledger must always be able to commit.
DISK_FLOOR_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Now:
    """What changes while the daemon runs."""

    power: Power
    free_bytes: int
    disk_free_bytes: int


class Machine:
    """This node. `start` first; `run` keeps what it says up to date."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        version: str,
        config: Config,
        engine: Engine,
        models: LocalModels,
        benchmarks: Benchmarks,
        clock: Clock,
        is_working: Callable[[], bool],
    ) -> None:
        """`is_working` says whether the engine has units: it is not measured, and not loaded anew, under them."""
        self._node_id = node_id
        self._version = version
        self._config = config
        self._engine = engine
        self._local_models = models
        self._benchmarks = benchmarks
        self._clock = clock
        self._is_working = is_working
        self._measuring = asyncio.Lock()
        self._host: HostFacts
        self._now: _Now
        self._models: dict[str, LocalModel] = {}
        self._models_at_s = float("-inf")

    async def start(self) -> None:
        """Looks at the machine for the first time."""
        self._host = await asyncio.to_thread(read_facts)
        await self.refresh()

    async def refresh(self) -> None:
        """Looks again at what changes."""
        self._now = await asyncio.to_thread(self._look)
        if self._clock.continuous() - self._models_at_s >= MODELS_EVERY_S:
            found = await asyncio.to_thread(self._local_models.all)
            self._models = {model.name: model for model in found}
            self._models_at_s = self._clock.continuous()

    async def measure_at_start(self) -> None:
        """Measures the machine and its standard model, unless it was done before. Failing is no reason to stop."""
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
        return self.facts()

    def find(self, name: str) -> LocalModel | None:
        """The model of this name, as of the last look."""
        return self._models.get(name)

    def reason_to_refuse(self) -> str:
        """Why this node takes no work just now; empty when it does."""
        floor = self._config.power.battery_floor_fraction
        power = self._now.power
        if self._measuring.locked():
            return "it is measuring itself"
        if power.source == "battery" and power.battery_fraction is not None and power.battery_fraction <= floor:
            return f"it runs on a battery that is {power.battery_fraction:.0%} full"
        if self._now.disk_free_bytes < DISK_FLOOR_BYTES:
            return f"its disk has only {self._now.disk_free_bytes / 1e9:.1f} GB left"
        return ""

    def slots(self, model: LocalModel) -> int:
        """Units in flight that fill the engine: the measured peak batch size."""
        measured = self._benchmarks.known_model(model.model)
        return measured.value.peak_batch_size if measured else UNMEASURED_SLOTS

    def facts(self) -> NodeFacts:
        """This node as the cluster should know it."""
        host, now = self._host, self._now
        return NodeFacts(
            node_id=self._node_id,
            name=self._config.node.name,
            version=self._version,
            chip=host.chip,
            os=host.os,
            memory_bytes=host.memory_bytes,
            usable_bytes=host.usable_bytes,
            free_bytes=now.free_bytes,
            cpu_cores=host.cpu_cores,
            gpu_cores=host.gpu_cores,
            portable=host.portable,
            power=now.power,
            duty_fraction=self._config.engine.duty_fraction,
            benchmark=self._benchmark(),
            engine=self._engine.status(),
            models=tuple(_known(model) for model in self._models.values()),
            disk_free_bytes=now.disk_free_bytes,
        )

    def _benchmark(self) -> HostBenchmark | None:
        compute = self._benchmarks.known_compute()
        if compute is None:
            return None
        measured: list[MeasuredModel] = []
        for model in self._models.values():
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
        return _Now(
            power=read_power(),
            free_bytes=free_bytes(),
            disk_free_bytes=shutil.disk_usage(self._config.node.data_dir).free,
        )


def _known(model: LocalModel) -> KnownModel:
    return KnownModel(
        name=model.name,
        sha256=model.model,
        weight_bytes=model.weight_bytes,
        params_b=model.params_b,
        active_params_b=model.active_params_b,
        bits=model.bits,
        templates=model.templates,
    )
