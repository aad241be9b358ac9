"""Stations: the group parts of real daemons in one process, over loopback, with real ranks."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc.aio
import psutil
from tests.contract.groups.cable import Cable

from realign_daemon.cluster.addresses import Address
from realign_daemon.config import Config, EngineConfig, NodeConfig
from realign_daemon.engine.api import Generate, LocalModel, Message, Sampler
from realign_daemon.engine.environment import EngineSettings
from realign_daemon.engine.process import EngineProcess
from realign_daemon.engine.ranks import Backend, CanaryTaken, GroupWish, Parallelism, Rank, RankEvent
from realign_daemon.engine.supervisor import EngineSupervisor
from realign_daemon.grouping import Grouping
from realign_daemon.groups.messages import Logprobs
from realign_daemon.groups.starter import Starter
from realign_daemon.platform import Platform
from realign_daemon.rpc.channels import open_channel
from realign_daemon.rpc.listener import Listener
from realign_daemon.work.blobs import BlobStore

PLENTY_BYTES = 2**40


class Units:
    """No unit of any home."""

    is_working = has_units = False

    def refresh(self) -> None:
        """Nobody is to be told."""

    def give_back_running(self) -> None:
        """Nothing runs."""


@dataclass(kw_only=True)
class Station:
    """One node's group parts. What a test changes it finds the next time that it looks."""

    name: str
    model: LocalModel
    grouping: Grouping
    address: Address
    spare_bytes: int = PLENTY_BYTES
    objection: str = ""
    is_wanted: bool = False  # by a home that has other work for it
    others_at: str = "127.0.0.1"  # the host where it is connected to all others
    cable: Cable | None = None  # through which its rank reaches the others
    lies: bool = False  # what its rank finds for a canary is not what it should
    canaries: list[Logprobs] = field(default_factory=list[Logprobs])  # what its rank found for each
    listener: Listener

    def find(self, name: str) -> LocalModel | None:
        return self.model if name == self.model.name else None

    async def close_door(self) -> None:
        """Ends every connection to it."""
        await self.listener.close(0.0)


@dataclass(kw_only=True)
class Stations:
    """All nodes; the first one is the head."""

    all: list[Station] = field(default_factory=list[Station])

    @property
    def head(self) -> Station:
        return self.all[0]

    def wish(self, *, parallelism: Parallelism = "tensor", backend: Backend = "ring") -> GroupWish:
        return GroupWish(nodes=tuple(one.name for one in self.all), backend=backend, parallelism=parallelism)

    def has_started(self, rank: int) -> bool:
        status = self.all[rank].grouping.berth.status()
        return status is not None and status.pid > 0

    def pid(self, rank: int) -> int:
        status = self.all[rank].grouping.berth.status()
        assert status is not None, f"there is no rank {rank}"
        return status.pid

    async def until(self, condition: Callable[[], bool], *, within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - processes are looked at, nobody announces them
                await asyncio.sleep(0.02)

    async def until_nothing_is_left(self, *, within_s: float = 3.0) -> None:
        await self.until(lambda: not any(one.grouping.berth.is_occupied for one in self.all), within_s=within_s)
        assert not ranks_left()


def ranks_left() -> list[int]:
    """The processes of this one that are ranks."""
    lines = {child.pid: " ".join(child.cmdline()) for child in psutil.Process(os.getpid()).children()}
    return [pid for pid, line in lines.items() if "realign_daemon.engine.child" in line and '"rank": null' not in line]


@asynccontextmanager
async def stations(folder: Path, *models: LocalModel, canaries: Path | None = None) -> AsyncGenerator[Stations]:
    """As many nodes as there are models, each with its own; with `canaries` they need not compute a reference."""
    found = Stations()
    channels: dict[str, grpc.aio.Channel] = {}
    async with AsyncExitStack() as stack:
        for place, model in enumerate(models):
            if canaries is not None:
                (folder / f"node-{place}").mkdir()
                shutil.copy(canaries, folder / f"node-{place}" / canaries.name)
            found.all.append(await _station(stack, folder / f"node-{place}", model, channels))
        for one in found.all:
            channels[one.name] = await stack.enter_async_context(open_channel(one.address))
        try:
            yield found
        finally:
            for one in found.all:
                await one.grouping.engine.close()


async def _station(
    stack: AsyncExitStack, data_dir: Path, model: LocalModel, channels: dict[str, grpc.aio.Channel]
) -> Station:
    data_dir.mkdir(exist_ok=True)  # noqa: ASYNC240 - nothing else runs yet
    config = Config(node=NodeConfig(name=data_dir.name, data_dir=data_dir), engine=EngineConfig(idle_unload_s=0.0))
    blobs = BlobStore(data_dir / "blobs")
    own = EngineSupervisor(blobs, data_dir / "cache", free_bytes=lambda: PLENTY_BYTES)
    stack.push_async_callback(own.close)
    station: Station
    start = Starter(data_dir / "cache", EngineSettings())

    async def start_rank(rank: Rank | None, *, model: str, on_event: Callable[[RankEvent], None]) -> EngineProcess:
        def heard(event: RankEvent) -> None:
            if isinstance(event, CanaryTaken):
                station.canaries.append(event.logprobs)
                if station.lies:
                    lie = tuple(tuple(figure - 5.0 for figure in row) for row in event.logprobs)
                    event = replace(event, logprobs=lie)
            on_event(event)

        if rank is not None and station.cable is not None:
            rank = await station.cable.plugged(rank)
        return await start(rank, model=model, on_event=heard)

    grouping = Grouping(
        config,
        Platform(start_rank=lambda _: start_rank),
        node=data_dir.name,
        own=own,
        blobs=blobs,
        find=lambda name: station.find(name),  # noqa: PLW0108 - it is made below
        spare_bytes=lambda: station.spare_bytes,
        name_of=lambda node: node,
        channel=channels.get,
        host_of=lambda _: station.others_at,
    )
    occupation = grouping.occupation(Units(), lambda: station.objection)
    service = grouping.servicer(occupation, refusal=lambda: station.objection, is_wanted=lambda: station.is_wanted)
    listener = Listener([service.add_to], concurrent_calls=16)
    port = await listener.open(Address(host="127.0.0.1", port=0))
    stack.push_async_callback(listener.close, 0.0)
    address = Address(host="127.0.0.1", port=port)
    station = Station(name=data_dir.name, model=model, grouping=grouping, address=address, listener=listener)
    return station


def question(model: LocalModel, seed: int) -> Generate:
    content = f"{seed % 90 + 10}+{seed % 7 + 11}="
    return Generate(
        model=model.model,
        messages=(Message(role="user", content=content),),
        sampler=Sampler(temperature=1.0, max_tokens=8),
        seed=seed,
        template="test",
    )
