"""VirtualDaemon: a whole daemon on a simulated host: the real Node, a disk that outlives it, an engine by script."""

from __future__ import annotations

import base64
import random
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

from realign_daemon.clock import Clock
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId
from realign_daemon.config import BenchmarkConfig, ClusterConfig, Config, NetworkConfig, NodeConfig
from realign_daemon.curation.run import WORK
from realign_daemon.curation.stages.work import Work
from realign_daemon.engine.api import Blobs, LocalModel, ModelId, Task
from realign_daemon.host.facts import HostFacts
from realign_daemon.host.power import Power
from realign_daemon.host.senses import Disk, Senses
from realign_daemon.host.wakelock import Wakelock
from realign_daemon.models.manifest import Manifest
from realign_daemon.node import Node
from realign_daemon.platform import Platform
from realign_daemon.rpc.channels import Channel
from realign_daemon.rpc.tls import Dialler
from realign_daemon.testing.inline_worker import InlineWorker
from realign_daemon.testing.memory_grpc import open_channel
from realign_daemon.testing.memory_network import Host
from realign_daemon.testing.paced_engine import PacedEngine
from realign_daemon.testing.virtual_clock import VirtualClock
from realign_daemon.testing.virtual_process import VirtualProcess
from realign_daemon.testing.virtual_server import Overhear, VirtualServer
from realign_daemon.trust.keys import node_id
from realign_daemon.trust.store import FOLDER, TrustStore
from realign_daemon.trust.trust import Trust
from realign_daemon.witness import Witness
from realign_daemon.work.ballast import Ballast
from realign_daemon.work.database import Database
from realign_daemon.work.schema import prepare
from realign_planner.data_types import DataType

PORT = 7411
GIB = 2**30
MODEL = LocalModel(
    name="pocket",
    model=ModelId("m"),
    path=Path("/nowhere"),
    params_b=0.001,
    active_params_b=0.001,
    bits=16,
    weight_bytes=1,
    templates="pocket",
)
DISK = Disk(total_bytes=1000 * GIB, free_bytes=500 * GIB)
SENSES = Senses(
    facts=lambda: HostFacts(
        chip="simulated",
        os="simulated",
        memory_bytes=16 * GIB,
        usable_bytes=12 * GIB,
        cpu_cores=8,
        gpu_cores=8,
        portable=False,
    ),
    free_bytes=lambda: 12 * GIB,
    power=lambda: Power(source="ac"),
    pressure=lambda: "normal",
    is_in_use=lambda: False,
    disk=lambda _: DISK,
    software=lambda: "simulated",
    cables=tuple,
)

P256_PREFIX = bytes.fromhex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420")  # of PKCS #8


class LastingConnection(sqlite3.Connection):
    """A database in memory that outlives the processes that open it, one after the other."""

    def reopen(self) -> None:
        """What a new process finds: what no one committed is gone."""
        if self.in_transaction:
            self.rollback()

    def close(self) -> None:
        """It stays open for the next process; `end` closes it."""

    def end(self) -> None:
        """Closes it for good."""
        super().close()


@dataclass(eq=False, kw_only=True)
class VirtualDaemon:
    """One machine with a daemon; `boot` starts it, what the host suffers it suffers.

    All that it writes to its disk is durable at once, but for the transactions that its database did not commit.
    """

    host: Host
    clock: VirtualClock
    chance: random.Random
    folder: Path
    peers: tuple[Address, ...]
    takes_s: Callable[[Task], float]  # of a unit
    work: Mapping[DataType, Work] = field(default_factory=lambda: WORK)
    kind: type[Node | Witness] = Node
    cluster: ClusterConfig = field(default_factory=lambda: ClusterConfig(tag="simulated"))
    connection: LastingConnection = field(
        default_factory=lambda: sqlite3.connect(":memory:", isolation_level=None, factory=LastingConnection)
    )
    disk: Disk = DISK  # as far as its senses tell: whatever it writes finds room
    overheard: Mapping[str, Overhear] = field(default_factory=dict[str, Overhear])  # by the method that it answers
    worker: InlineWorker = field(default_factory=InlineWorker)
    engines: list[PacedEngine] = field(default_factory=list[PacedEngine])  # one of each life
    deaths: list[BaseException] = field(default_factory=list[BaseException])  # of its own doing: none are expected
    node_id: NodeId = field(init=False)

    def __post_init__(self) -> None:
        """Gives it a key, from which its node id follows, and a ledger, without which it would have lost one."""
        trust = self.folder / FOLDER
        trust.mkdir(mode=0o700, parents=True)
        key = trust / "node.key"
        key.touch(mode=0o600)
        key.write_bytes(private_key(self.chance))
        self.node_id = node_id(TrustStore(self.folder).load().key.public_key())
        _empty_ledger().backup(self.connection)
        for key, value in (("index_id", self.chance.randbytes(8).hex()), ("born_unix_s", str(self.clock.unix()))):
            self.connection.execute("UPDATE meta SET value=? WHERE key=?", (value, key))

    @property
    def address(self) -> Address:
        """Where it listens."""
        return Address(host=self.host.ip, port=PORT)

    @property
    def config(self) -> Config:
        """What its owner has set."""
        return Config(
            node=NodeConfig(name=self.host.name, data_dir=self.folder),
            network=NetworkConfig(listen=self.address, peers=self.peers, discovery=False, insecure_lan=True),
            cluster=self.cluster,
            benchmark=BenchmarkConfig(model=MODEL.name),
        )

    @property
    def platform(self) -> Platform:
        """The simulated machine around one life of the daemon."""
        return Platform(
            clock=self.clock,
            random_bytes=self.chance.randbytes,
            chance=self.chance,
            senses=replace(SENSES, disk=self._look_at_disk),
            server=partial(VirtualServer, self.host, self.overheard),
            own_addresses=lambda listening: (listening,),
            dialler=partial(VirtualDialler, self.host),
            ballast=NoBallast,
            database=self._database,
            worker=lambda: self.worker,
            engine=self._engine,
            models=lambda _: OneModel(),
            wakelock=lambda now: Wakelock(now, has=lambda _: False),
            work=self.work,
        )

    def boot(self) -> None:
        """Starts a process in place of one that died."""
        process = self.host.boot()
        process.start(self._run(process), name=self.host.name)

    async def _run(self, process: VirtualProcess) -> None:
        try:
            await self.kind(self.config, self.platform).run(lambda _: None)
        except Exception as error:  # whatever it is, it is a finding
            if not process.is_dead:  # what is thrown into the remains of a killed one is none of its doing
                self.deaths.append(error)
            raise

    def _database(self, data_dir: Path, ballast: Ballast) -> Database:
        def connect(path: Path) -> sqlite3.Connection:
            self.connection.reopen()
            # The key was there before: without this the first boot would look as if the ledger had been lost.
            prepare(self.connection, path, self.chance.randbytes, now_unix_s=self.clock.unix())
            return self.connection

        return Database(data_dir / "ledger.sqlite", ballast=ballast, connect=connect, now_unix_s=self.clock.unix)

    def _look_at_disk(self, _data_dir: Path) -> Disk:
        return self.disk

    def _engine(self, _config: Config, blobs: Blobs, _free_bytes: Callable[[], int]) -> PacedEngine:
        engine = PacedEngine(blobs, clock=self.clock, takes_s=self.takes_s)
        self.engines.append(engine)
        return engine


class VirtualDialler(Dialler):
    """A dialler whose channels cross the simulated network. There is no TLS there: nobody proves who answers."""

    def __init__(self, host: Host, trust: Trust, clock: Clock) -> None:
        super().__init__(trust, clock)
        self._host = host

    def open(self, address: Address, expects: NodeId | None = None) -> Channel:
        """See Dialler."""
        return open_channel(self._host, address, expects)


class NoBallast(Ballast):
    """A ballast that takes up nothing: a simulated disk is never full."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir / "ballast", least_free_bytes=0)

    def keep(self) -> None:
        """See Ballast."""


class OneModel:
    """See machine.Shelf."""

    def all(self) -> tuple[LocalModel, ...]:
        """See Shelf."""
        return (MODEL,)

    def manifest(self, model: LocalModel) -> Manifest:
        """See Shelf; it has no files."""
        raise FileNotFoundError(model.path)


@cache
def _empty_ledger() -> sqlite3.Connection:
    """One to be copied: to make one takes SQLite ten times as long."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    prepare(connection, Path())
    return connection


def private_key(chance: random.Random) -> bytes:
    """A P-256 key, PEM, that nobody should rely on."""
    der = P256_PREFIX + (1 + chance.getrandbits(250)).to_bytes(32, "big")
    return b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(der) + b"-----END PRIVATE KEY-----\n"
