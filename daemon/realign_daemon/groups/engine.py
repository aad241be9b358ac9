"""GroupingEngine: the Engine of a node: its own child, or a group whose head it is, as each load asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from realign_daemon.engine.api import (
    ComputeBenchmark,
    EngineStatus,
    Fuse,
    LocalModel,
    ModelBenchmark,
    Progress,
    Result,
    Task,
    Train,
)
from realign_daemon.engine.errors import BadTask, GroupDied, NotLoaded
from realign_daemon.engine.own import OwnEngine
from realign_daemon.engine.performing import Performing
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.groups.group import Group, Head
from realign_daemon.groups.watchdog import LEAST_STEP_S

log = structlog.get_logger()

ATTEMPTS = 2  # where a rank's port was taken between its choice and its use
# A group's memory is that of several nodes, which others may want. A load of a large model takes about as long.
IDLE_S = 120.0
SHORT_IDLE_S = 2.0  # between two stages of a job whose models are on different nodes
# As [engine] watchdog_s. A training's first step reads its whole data set; a later one has as many tokens as its rows,
# which no pass divides, and may take twenty times as long as those before it.
_TRAINING_STEP_S = 60.0


class GroupingEngine:
    """See Engine."""

    def __init__(self, own: OwnEngine, head: Head, performing: Performing, *, mint: Callable[[], str]) -> None:
        """`mint` gives a new name for every attempt."""
        self._own, self._head, self._performing, self._mint = own, head, performing, mint
        self._group: Group | None = None
        self._switching = asyncio.Lock()
        self._idling: asyncio.Task[None] | None = None

    async def load(self, model: LocalModel, group: GroupWish | None = None) -> None:
        """See Engine."""
        async with self._switching:
            standing = self._group
            if standing is not None and group == standing.wish and model == standing.model and not standing.is_over:
                return
            await self._dissolve()
            if group is None:
                await self._own.load(model)
            else:
                self._group = await self._formed(model, group)
                self._idling = asyncio.create_task(self._let_go_when_idle(self._group), name="group.idle")

    async def perform(self, task: Task, *, progress: Progress | None = None) -> Result:
        """See Engine."""
        group = self._group
        if group is None:
            return await self._own.perform(task, progress=progress)
        if group.model.model != task.model:
            raise NotLoaded(model=task.model)
        if isinstance(task, Fuse):
            raise BadTask("a model is fused by one machine, not by a group: plan it for a node that holds the model")
        step_s = _TRAINING_STEP_S if isinstance(task, Train) else LEAST_STEP_S
        return await self._performing.perform(task, partial(group.request, step_s=step_s), progress)

    def confirmation(self) -> Awaitable[None] | None:
        """See Engine."""
        return self._group.confirmation() if self._group is not None else self._own.confirmation()

    async def benchmark_model(self, model: LocalModel, *, budget_s: float) -> ModelBenchmark:
        """See Engine. Of this machine alone."""
        async with self._switching:
            await self._dissolve()
            return await self._own.benchmark_model(model, budget_s=budget_s)

    async def benchmark_compute(self, *, budget_s: float) -> ComputeBenchmark:
        """See Engine."""
        return await self._own.benchmark_compute(budget_s=budget_s)

    def status(self) -> EngineStatus:
        """See Engine. A node that serves another head's group is that rank."""
        return self._head.berth.status() or self._own.status()

    async def unload(self, cause: str) -> None:
        """See steward.Memory."""
        if self._switching.locked():
            return
        async with self._switching:
            if self._group is not None and self._group.is_idle:
                log.info("group.unloaded", cause=cause)
                await self._dissolve()
            await self._own.unload(cause)

    async def close(self) -> None:
        """Ends everything."""
        group = self._group
        if group is not None:
            await group.abort()
        async with self._switching:  # one that was just being formed ends with its caller
            await self._dissolve()
        await self._own.close()

    async def _formed(self, model: LocalModel, wish: GroupWish) -> Group:
        """A group that is ready. Raises GroupDied."""
        for attempt in range(1, ATTEMPTS + 1):
            group = Group(self._head, model, wish, name=self._mint())
            try:
                await group.form()
            except GroupDied as died:
                await group.abort()
                if attempt == ATTEMPTS or not group.is_worth_a_retry:
                    raise
                log.warning("group.retried", group=group.name, reason=died.cause)
            except BaseException:
                await group.abort()
                raise
            else:
                return group
        raise AssertionError("the last attempt raises")

    async def _dissolve(self) -> None:
        group, self._group = self._group, None
        if self._idling is not None and self._idling is not asyncio.current_task():
            self._idling.cancel()
        self._idling = None
        if group is not None:
            await group.close()

    async def _let_go_when_idle(self, group: Group) -> None:
        """Dissolves the group once nothing was asked of it for so long."""
        clock = self._head.clock
        idle_since_s = clock.continuous()
        while self._group is group:
            await clock.sleep(1.0)
            if not group.is_idle:
                idle_since_s = clock.continuous()
            elif clock.continuous() - idle_since_s >= (SHORT_IDLE_S if group.is_to_go else IDLE_S) or group.is_over:
                async with self._switching:
                    if self._group is group and group.is_idle:
                        await self._dissolve()
                return
