"""RoutingEngine: the Engine of a node: its own machine's, and beside it the servers that it may ask."""

from __future__ import annotations

from collections.abc import Awaitable

from realign_daemon.clock import Clock
from realign_daemon.endpoints.endpoint_engine import EndpointEngine, TookTooLong
from realign_daemon.endpoints.endpoints import Endpoints
from realign_daemon.endpoints.speed import measure
from realign_daemon.engine.api import (
    ComputeBenchmark,
    EngineStatus,
    LocalModel,
    ModelBenchmark,
    Progress,
    Result,
    Task,
)
from realign_daemon.engine.errors import EndpointGone, GroupDied
from realign_daemon.engine.own import OwnEngine
from realign_daemon.engine.ranks import GroupWish


class RoutingEngine:
    """See Engine. A model of a server takes nothing from the one that this machine has loaded."""

    def __init__(self, own: OwnEngine, endpoints: Endpoints, clock: Clock) -> None:
        self._own, self._endpoints, self._clock = own, endpoints, clock
        self._at: EndpointEngine | None = None  # what was loaded last; None: this machine's

    async def load(self, model: LocalModel, group: GroupWish | None = None) -> None:
        """See Engine. Raises EndpointGone where a server does not answer as this model."""
        if not model.endpoint:
            await self._own.load(model, group)
            self._at = None
            return
        if group is not None:
            cause = "a model at an endpoint is held by its server, not by a group"
            raise GroupDied(model=model.name, group="", lost=(), cause=cause)
        self._at = await self._endpoints.serve(model)

    async def perform(self, task: Task, *, progress: Progress | None = None) -> Result:
        """See Engine."""
        engine = self._endpoints.engine(task.model)
        if engine is None:
            return await self._own.perform(task, progress=progress)
        try:
            await self._endpoints.confirm(engine)
            return await engine.perform(task)
        except (EndpointGone, TookTooLong):
            self._endpoints.lose(engine)
            raise

    def confirmation(self) -> Awaitable[None] | None:
        """See Engine. What a server says is right by itself: there is nothing to compare it with."""
        return None if self._at is not None else self._own.confirmation()

    async def benchmark_model(self, model: LocalModel, *, budget_s: float) -> ModelBenchmark:
        """See Engine; of a server over requests in flight instead of batch sizes."""
        if not model.endpoint:
            return await self._own.benchmark_model(model, budget_s=budget_s)
        return await measure(await self._endpoints.serve(model), self._clock, budget_s=budget_s)

    async def benchmark_compute(self, *, budget_s: float) -> ComputeBenchmark:
        """See Engine."""
        return await self._own.benchmark_compute(budget_s=budget_s)

    def status(self) -> EngineStatus:
        """See Engine. While a server is asked, that; else what this machine's own does."""
        if self._at is not None and self._at.server.is_busy:
            return EngineStatus(state="busy", model=self._at.name)
        return self._own.status()

    async def unload(self, cause: str) -> None:
        """See steward.Memory."""
        await self._own.unload(cause)

    async def close(self) -> None:
        """Ends this machine's own; requests end with who makes them."""
        await self._own.close()
