"""Platform: where a node gets what reaches out of it: clocks, chance, disk, network, children, and the machine."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from realign_daemon.clock import Clock, SystemClock
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.announcement import Announcement
from realign_daemon.cluster.discovery import Discovery, own_addresses
from realign_daemon.config import Config
from realign_daemon.curation.computations import Calls
from realign_daemon.curation.run import WORK
from realign_daemon.curation.stages.work import Work
from realign_daemon.engine.api import Blobs
from realign_daemon.engine.models import LocalModels, lm_studio_folders
from realign_daemon.engine.own import OwnEngine
from realign_daemon.engine.supervisor import EngineSettings, EngineSupervisor
from realign_daemon.groups.berth import StartProcess
from realign_daemon.groups.starter import Starter
from realign_daemon.guard import ANY_PORT
from realign_daemon.host.disk_room import REPLICAS_FLOOR_BYTES
from realign_daemon.host.machine import Shelf
from realign_daemon.host.senses import SENSES, Senses
from realign_daemon.host.wakelock import Wakelock
from realign_daemon.models.store import MODELS
from realign_daemon.rpc.server import Server
from realign_daemon.rpc.tls import Dialler
from realign_daemon.trust.trust import Trust
from realign_daemon.work.ballast import Ballast
from realign_daemon.work.database import Database
from realign_daemon.worker.supervisor import Worker
from realign_planner.data_types import DataType


class NodeWorker(Calls, Protocol):
    """A worker child."""

    async def close(self) -> None:
        """Ends it."""
        ...


class DiscoveryOf(Protocol):
    """See cluster.discovery.Discovery."""

    def __call__(
        self, announcement: Callable[[], Announcement], *, addresses: Callable[[], tuple[Address, ...]]
    ) -> Discovery:
        """Finds other nodes once it runs."""
        ...


def _server(config: Config) -> Server:
    node = config.node
    return Server(
        data_dir=node.data_dir,
        listen=ANY_PORT,
        concurrent_calls=config.limits.concurrent_calls,
        node_name=node.name,
    )


def _ballast(data_dir: Path) -> Ballast:
    return Ballast(data_dir / "ballast", least_free_bytes=REPLICAS_FLOOR_BYTES)


def _database(data_dir: Path, ballast: Ballast) -> Database:
    return Database(data_dir / "ledger.sqlite", ballast=ballast)


def _engine(config: Config, blobs: Blobs, free_bytes: Callable[[], int]) -> OwnEngine:
    return EngineSupervisor(blobs, config.node.data_dir / "cache", _engine_settings(config), free_bytes=free_bytes)


def _engine_settings(config: Config) -> EngineSettings:
    return EngineSettings(
        env=config.engine.env,
        duty_fraction=config.engine.duty_fraction,
        stall_timeout_s=config.engine.watchdog_s,
        idle_unload_s=config.engine.idle_unload_s,
    )


def _start_rank(config: Config) -> StartProcess:
    return Starter(config.node.data_dir / "cache", _engine_settings(config))


def _models(config: Config) -> Shelf:
    own = config.node.data_dir / MODELS
    dirs = (own, *config.models.dirs, *lm_studio_folders(Path.home()))
    return LocalModels(dirs, config.node.data_dir / "models.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Those of a real machine, where nothing else is given. Nothing happens before the node asks for them."""

    clock: Clock = field(default_factory=SystemClock)
    random_bytes: Callable[[int], bytes] = secrets.token_bytes  # for ids and tokens, which nobody may guess
    chance: random.Random = field(default_factory=random.Random)  # for waits
    senses: Senses = SENSES
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)  # holds the keys of servers
    server: Callable[[Config], Server] = _server
    own_addresses: Callable[[Address], tuple[Address, ...]] = own_addresses  # where others reach who listens there
    dialler: Callable[[Trust, Clock], Dialler] = Dialler
    discovery: DiscoveryOf = Discovery
    ballast: Callable[[Path], Ballast] = _ballast
    database: Callable[[Path, Ballast], Database] = _database
    worker: Callable[[], NodeWorker] = Worker
    engine: Callable[[Config, Blobs, Callable[[], int]], OwnEngine] = _engine
    start_rank: Callable[[Config], StartProcess] = _start_rank
    models: Callable[[Config], Shelf] = _models
    wakelock: Callable[[Callable[[], float]], Wakelock] = Wakelock
    work: Mapping[DataType, Work] = field(default_factory=lambda: WORK)
