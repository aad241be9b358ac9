"""Gang: the ranks of a group on this machine, each a real engine child; or one engine that computes alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from realign_daemon.engine.api import Result, Task
from realign_daemon.engine.codec import decode_result, encode
from realign_daemon.engine.environment import EngineSettings, child_environment
from realign_daemon.engine.process import ChildOptions, EngineProcess
from realign_daemon.engine.ranks import (
    Beat,
    CanaryTaken,
    Formed,
    Gather,
    GroupPlan,
    Holding,
    Parallelism,
    Rank,
    RankEvent,
)
from realign_daemon.groups.addresses import port_facing

_DEADLINE_S = 60.0  # a rank starts in 2 s; on two busy cores three of them took 6 s


@dataclass(kw_only=True)
class Told:
    """What a rank has told beside its replies."""

    beats: asyncio.Queue[Beat] = field(default_factory=asyncio.Queue[Beat])
    held: list[Holding] = field(default_factory=list[Holding])
    canaries: asyncio.Queue[CanaryTaken] = field(default_factory=asyncio.Queue[CanaryTaken])

    def take(self, event: RankEvent) -> None:
        """Keeps an event for whoever asks."""
        match event:
            case Beat():
                self.beats.put_nowait(event)
            case Holding():
                self.held.append(event)
            case CanaryTaken():
                self.canaries.put_nowait(event)
            case Formed() | Gather():
                pass


@dataclass(frozen=True, kw_only=True)
class Member:
    """A rank's process."""

    process: EngineProcess
    told: Told


@dataclass(kw_only=True)
class Gang:
    """Processes that hold one model, asked through the first."""

    members: Sequence[Member]
    plan: GroupPlan | None = None
    adapters: dict[str, Path] = field(default_factory=dict[str, Path])

    @property
    def head(self) -> EngineProcess:
        """The process of rank 0."""
        return self.members[0].process

    async def ask(self, **body: object) -> dict[str, Any]:
        """The reply to a request."""
        return await asyncio.wait_for(self.head.request(body, stall_timeout_s=_DEADLINE_S), _DEADLINE_S)

    async def perform(self, *tasks: Task) -> list[Result]:
        """The results of tasks that are asked at the same time."""
        replies = await asyncio.gather(
            *(self.ask(op="task", task=encode(task), **self.adapter(task)) for task in tasks)
        )
        return [decode_result(reply["result"]) for reply in replies]

    def adapter(self, task: Task) -> dict[str, str]:
        """What a request says of its task's adapter."""
        name = task.adapter or ""
        return {"adapter": name, "adapter_path": str(self.adapters.get(name, ""))}


def loopback_ring(size: int, parallelism: Parallelism, *, split: tuple[int, ...] = ()) -> GroupPlan:
    """A plan over ports that nobody listens on now. MLX wants numbers, so they are free until it binds them."""
    hosts = tuple((port_facing("127.0.0.1"),) for _ in range(size))
    return GroupPlan(group="test", backend="ring", parallelism=parallelism, hosts=hosts, split=split)


@asynccontextmanager
async def formed(
    scratch: Path, folders: Sequence[Path], plan: GroupPlan | None = None, *, duties: Sequence[float] = ()
) -> AsyncGenerator[Gang]:
    """The ranks of a plan, or one engine alone, each with its folder of a model; none of them outlives the block."""
    async with AsyncExitStack() as stack:
        members: list[Member] = []
        for number, folder in enumerate(folders):
            rank = None if plan is None else Rank(plan=plan, rank=number, folder=folder)
            members.append(await started(scratch, rank, duty_fraction=duties[number] if duties else 1.0))
            stack.push_async_callback(members[-1].process.kill, "the test is over")
        if plan is not None:
            async with asyncio.timeout(_DEADLINE_S):
                await asyncio.gather(*(member.process.until_formed() for member in members))
        yield Gang(members=members, plan=plan)


@asynccontextmanager
async def loaded(
    scratch: Path, folder: Path, plan: GroupPlan | None = None, *, duties: Sequence[float] = ()
) -> AsyncGenerator[Gang]:
    """As `formed`, with the same model everywhere, loaded."""
    folders = [folder] * (1 if plan is None else plan.size)
    async with formed(scratch, folders, plan, duties=duties) as gang:
        await gang.ask(op="load", path=str(folder))
        yield gang


async def started(scratch: Path, rank: Rank | None, *, duty_fraction: float = 1.0) -> Member:
    """A rank's process, or one that computes alone, as soon as it runs."""
    told = Told()
    process = await EngineProcess.start(
        model="test",
        options=ChildOptions(blas_cache=scratch / "blas", duty_fraction=duty_fraction, max_batch_size=16, rank=rank),
        environment=child_environment(os.environ, EngineSettings(), in_group=rank is not None),
        scratch=scratch,
        on_event=told.take,
    )
    return Member(process=process, told=told)
