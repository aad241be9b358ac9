"""Real daemons in processes of their own, and documents about the pocket model's world for them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from realign_client.api import Client, connect
from realign_daemon.engine.pocket import sentences, world
from realign_proto.v1 import status_pb2

READY_S = 60.0
MEASURED_S = 90.0


@dataclass
class Daemon:
    """One realignd. `kill` is kill -9; `start` after it takes up the same data directory."""

    data_dir: Path
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        (self.data_dir / "endpoint").unlink(missing_ok=True)  # what a killed daemon left names a dead port
        with (self.data_dir / "said").open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "realign_daemon.main", "--data-dir", str(self.data_dir), *self.arguments],
                env={**os.environ, **self.environment},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    async def address(self) -> str:
        """Where it listens, once it does."""
        endpoint = self.data_dir / "endpoint"
        async with asyncio.timeout(READY_S):
            while not endpoint.exists():
                assert self.process is not None
                assert self.process.poll() is None, (self.data_dir / "said").read_text()
                await asyncio.sleep(0.05)
        return endpoint.read_text().strip()

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Client]:
        async with connect(await self.address()) as client:
            yield client

    async def status(self) -> status_pb2.NodeStatus:
        async with self.client() as client:
            return await client.status()

    async def until(self, condition: Callable[[status_pb2.NodeStatus], bool]) -> status_pb2.NodeStatus:
        """The first status that the condition holds for."""
        async with asyncio.timeout(MEASURED_S):
            while not condition(status := await self.status()):
                await asyncio.sleep(0.2)
        return status


@dataclass
class Cluster:
    """Daemons of one tag. They all start with the same benchmark, since they all run on the same machine."""

    folder: Path
    benchmark: Path
    stack: ExitStack
    tag: str = field(default_factory=lambda: secrets.token_hex(8))
    daemons: dict[str, Daemon] = field(default_factory=dict[str, Daemon])

    def start(self, name: str, *arguments: str, **settings: str) -> Daemon:
        environment = {
            "REALIGN_CLUSTER_TAG": self.tag,
            "REALIGN_NODE_NAME": name,
            "REALIGN_POWER__USER_FREE_FRACTION": "0",  # the memory of a test machine is whatever it is
            **settings,
        }
        daemon = Daemon(self.folder / name, environment, arguments)
        daemon.data_dir.mkdir(parents=True)
        shutil.copy(self.benchmark, daemon.data_dir)
        self.daemons[name] = daemon
        self.stack.callback(daemon.stop)
        daemon.start()
        return daemon

    async def settled(self) -> str:
        """The leader's name, once all nodes see each other measured and agree on it."""

        def is_settled(status: status_pb2.NodeStatus) -> bool:
            measured = [member for member in status.members if member.facts.benchmark.models]
            return len(measured) == len(self.daemons) and bool(status.leader.name)

        leaders = {(await daemon.until(is_settled)).leader.name for daemon in self.daemons.values()}
        return leaders.pop() if len(leaders) == 1 else await self.settled()


@pytest.fixture
def cluster(tmp_path: Path, benchmark: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path, benchmark, stack)


@pytest.fixture(scope="session")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a daemon that has this machine to itself measures: the first of the workers has one measure for all."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "measured"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "benchmark.json").exists():
            _measure(folder)
    return folder / "benchmark.json"


def _measure(folder: Path) -> None:
    daemon = Daemon(folder, {"REALIGN_BENCHMARK__BUDGET_S": "6"}, ("--no-discovery",))
    daemon.start()
    try:
        asyncio.run(daemon.until(lambda status: bool(status.benchmark.models)))
    finally:
        daemon.stop()


@pytest.fixture(scope="session")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four chapters of thirty sums each, none of which the pocket model was trained or is tested on."""
    rng = random.Random(20261123)
    questions = list(world.split().loops.sums[:120])
    chapters = [
        f"# Chapter {number + 1}\n\n"
        + " ".join(sentences.sentence_about(question, rng).text for question in questions[number * 30 :][:30])
        for number in range(4)
    ]
    path = tmp_path_factory.mktemp("sources") / "sums.md"
    path.write_text("\n\n".join(chapters))
    return path


@pytest.fixture
def realignctl(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The client as a person calls it, in a directory of its own."""

    def run(*arguments: str, endpoint: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("realignctl")), *arguments],
            env={**os.environ, "REALIGN_ENDPOINT": endpoint},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=900,  # for a whole job beside another one
            check=False,
        )

    return run


def lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()]
