"""Every method of a node's server, called with bytes that no honest client sends.

`python tests/fuzz/rpc_bytes.py --inputs 100000` prints one JSON document. A crash is an answer that gives the program
away (INTERNAL, UNKNOWN, the name of a class), a unary call that is not answered, or a server that does not live on.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import psutil
import structlog
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

if not __package__:  # run as a script: the tests are no installed package
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz.noise import SHA256, message, mutated, random_bytes
from tests.unit.curation.jobs_world import Script

from realign_daemon.clock import SystemClock
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeFacts
from realign_daemon.cluster.identity import load_identity
from realign_daemon.cluster.state import StateFile
from realign_daemon.cluster.view import ClusterView
from realign_daemon.config import LimitsConfig
from realign_daemon.decision.store import DecisionStore
from realign_daemon.files.share import Shares
from realign_daemon.files.staging import Staging
from realign_daemon.journal.journal import Journal
from realign_daemon.journal.kinds import KINDS
from realign_daemon.rpc.cluster_servicer import ClusterServicer
from realign_daemon.rpc.curation_servicer import CurationServicer
from realign_daemon.rpc.decision_servicer import DecisionServicer
from realign_daemon.rpc.files_servicer import FilesServicer
from realign_daemon.rpc.homes import Routes
from realign_daemon.rpc.host_servicer import HostServicer
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_daemon.rpc.journal_servicer import JournalServicer
from realign_daemon.rpc.sources import Holders, Sources
from realign_daemon.rpc.status_servicer import BenchProgress, LocalStatus, StatusServicer
from realign_daemon.rpc.work_servicer import WorkServicer
from realign_daemon.testing.job_home import JobHome
from realign_daemon.trust.keys import SpkiHash
from realign_proto.v1 import (
    cluster_pb2,
    curation_pb2,
    decision_pb2,
    files_pb2,
    host_pb2,
    journal_pb2,
    status_pb2,
    work_pb2,
)

FILES = (cluster_pb2, curation_pb2, decision_pb2, files_pb2, host_pb2, journal_pb2, status_pb2, work_pb2)
CALLERS = 8  # at once
UNARY_S = 20.0
STREAM_S = 0.1  # a stream that is still open then has taken what it was given
MOST_PARTS = 4  # of a stream of requests
MOST_REPLIES = 3
LIMITS = LimitsConfig(source_bytes=2**20, client_upload_bytes=8 * 2**20)
LOCAL = "Internal error from Core"  # grpc.aio's client says so by itself of a call that ended while it was being sent
GIVEAWAYS = ("Error", "Exception", "Traceback", ".py", "object at 0x", "internal error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an input did that it must not."""

    method: str
    code: str
    details: str
    parts: tuple[str, ...]  # hex, the beginning of each


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run found; sizes in bytes."""

    inputs: int
    crashes: int
    rss_start: int
    rss_end: int
    fds_start: int
    fds_end: int
    codes: dict[str, int]
    findings: list[Finding]


class _NoPause:
    async def pause(self, seconds: float | None) -> None:
        """See Pausing."""

    async def resume(self) -> None:
        """See Pausing."""


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[tuple[str, tuple[str, ...]]]:
    """The address of a server with every service of a node, and words that mean something to it."""
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(JobHome(folder, work=Script().work))
        (folder / "books").mkdir()
        (folder / "books" / "a.txt").write_text("Sums are easy.")
        job = await home.submit()
        await home.until_ended(job)
        server = grpc.aio.server(
            interceptors=[FaultInterceptor()], options=[("grpc.max_receive_message_length", 4 * 2**20)]
        )
        for add_to in (*_files_and_jobs(home), *_cluster(folder), *_ledger(home)):
            add_to(server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        stack.push_async_callback(server.stop, 0)
        content = home.blobs.put_bytes(b"Sums are easy.")
        yield f"127.0.0.1:{port}", (job.spec.job_id, job.spec.job_id[:5], content, f"{job.spec.job_id}/0")


def _files_and_jobs(home: JobHome) -> tuple[Any, ...]:
    clock = SystemClock()
    staging = Staging(
        home.blobs, clock=clock, client_bytes=LIMITS.client_upload_bytes, source_bytes=LIMITS.source_bytes
    )
    shares = Shares({"books": home.folder / "books"}, home.blobs, source_bytes=LIMITS.source_bytes)

    async def fetch(node: str, _sha256: str) -> None:
        raise ConnectionError(f"there is no node {node!r}")

    holders = Holders(own=frozenset({"studio"}), named=lambda _name: None, others=tuple, fetch=fetch)
    sources = Sources(
        node_id="studio",
        blobs=home.blobs,
        staging=staging,
        shares=shares,
        holders=holders,
        source_bytes=LIMITS.source_bytes,
    )
    curation = CurationServicer(
        jobs=home.jobs,
        data_sets=home.data_sets,
        blobs=home.blobs,
        clock=home.clock,
        routes=Routes(leader=lambda: None, home_of=lambda _job: None, others=tuple, own=SpkiHash(SHA256)),
        node_name="studio",
        limits=LIMITS,
        sources=sources,
    )
    work = WorkServicer(home._executor, home.blobs)  # pyright: ignore[reportPrivateUsage] - nobody else serves it
    return curation.add_to, FilesServicer(staging=staging, shares=shares, node_id="studio").add_to, work.add_to


def _cluster(folder: Path) -> tuple[Any, ...]:
    identity = load_identity(folder)
    facts = NodeFacts(node_id=identity.node, name="studio")
    address = Address(host="127.0.0.1", port=1)
    view = ClusterView(
        identity=identity,
        tag="fuzz",
        store=StateFile(folder),
        clock=SystemClock(),
        own_addresses=lambda: (address,),
        self_facts=lambda: facts,
        jobs=tuple,
        static_peers=(),
        discovery=None,
    )

    async def measure(_model: str, _force: bool) -> NodeFacts:
        return facts

    async def bench(_model: str, _force: bool) -> AsyncGenerator[BenchProgress]:
        yield BenchProgress(text="nothing to measure", facts=facts)

    status = StatusServicer(view, lambda: LocalStatus(data_dir=folder, uptime_s=0.0), bench)
    return ClusterServicer(view, measure).add_to, status.add_to, HostServicer(_NoPause(), lambda: facts).add_to


def _ledger(home: JobHome) -> tuple[Any, ...]:
    journal = Journal(home.database, KINDS, clock=SystemClock())
    store = DecisionStore(home.database, noted=lambda _connection, _job_id, _instance: None)
    return JournalServicer(journal).add_to, DecisionServicer(store).add_to


def methods() -> tuple[MethodDescriptor, ...]:
    """Every method of the contract that a member can call."""
    files = [cast("FileDescriptor", file.DESCRIPTOR) for file in FILES]
    return tuple(method for file in files for service in file.services_by_name.values() for method in service.methods)


class Fuzzer:
    """Calls methods over one channel and keeps what it found."""

    def __init__(self, address: str, known: Sequence[str], *, seed: int) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._known = known
        self._chance = random.Random(seed)
        self._methods = methods()
        self.codes: Counter[str] = Counter()
        self.findings: list[Finding] = []

    async def run(self, inputs: int) -> None:
        """So many calls, some of them at the same time."""
        left = iter(range(inputs))

        async def caller() -> None:
            for _ in left:
                await self._call()

        await asyncio.gather(*(caller() for _ in range(CALLERS)))

    async def close(self) -> None:
        """Ends the channel."""
        await self._channel.close()

    async def _call(self) -> None:
        method = self._chance.choice(self._methods)
        path = f"/{method.containing_service.full_name}/{method.name}"
        parts = [
            self._input(method) for _ in range(self._chance.randint(1, MOST_PARTS) if method.client_streaming else 1)
        ]
        code, details = await self._outcome(path, method, parts)
        self.codes[code] += 1
        if code in ("INTERNAL", "UNKNOWN", "HUNG") or any(word in details for word in GIVEAWAYS):
            shown = tuple(part[:200].hex() for part in parts)
            self.findings.append(Finding(method=path, code=code, details=details[:300], parts=shown))

    def _input(self, method: MethodDescriptor) -> bytes:
        way = self._chance.random()
        if way < 0.15:
            return random_bytes(self._chance)
        whole = message(self._chance, GetMessageClass(method.input_type), self._known).SerializeToString()
        return whole if way < 0.7 else mutated(self._chance, whole)

    async def _outcome(self, path: str, method: MethodDescriptor, parts: Sequence[bytes]) -> tuple[str, str]:
        async def sent() -> AsyncIterator[bytes]:
            for part in parts:
                yield part

        streams = method.client_streaming or method.server_streaming
        way = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        call = getattr(self._channel, way)(path)(
            sent() if method.client_streaming else parts[0],
            timeout=STREAM_S if method.server_streaming else UNARY_S,
        )
        try:
            if method.server_streaming:
                async for _ in _some(call):
                    pass
            else:
                await call
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return ("OPEN" if method.server_streaming else "HUNG"), ""
            return ("CUT", "") if error.details() == LOCAL else (error.code().name, error.details() or "")
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return "CANCELLED", ""
        finally:
            if streams:
                call.cancel()
        return "OK", ""


async def _some(call: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    replies = 0
    async for reply in call:
        yield reply
        replies += 1
        if replies >= MOST_REPLIES:
            return


async def fuzz(inputs: int, *, seed: int = 0) -> Report:
    """Calls a server of this process so often."""
    process = psutil.Process()
    with tempfile.TemporaryDirectory(prefix="realign-fuzz-") as folder:
        async with serving(Path(folder)) as (address, known):
            fuzzer = Fuzzer(address, known, seed=seed)
            await fuzzer.run(min(200, inputs // 10))  # what is made once is there afterwards
            warmed_up = sum(fuzzer.codes.values())
            rss_start, fds_start = process.memory_info().rss, process.num_fds()
            await fuzzer.run(inputs - warmed_up)
            await asyncio.sleep(2 * STREAM_S)  # what was cancelled ends
            gc.collect()
            rss_end, fds_end = process.memory_info().rss, process.num_fds()
            await fuzzer.close()
    return Report(
        inputs=sum(fuzzer.codes.values()),
        crashes=len(fuzzer.findings),
        rss_start=rss_start,
        rss_end=rss_end,
        fds_start=fds_start,
        fds_end=fds_end,
        codes=dict(fuzzer.codes),
        findings=fuzzer.findings,
    )


def main() -> None:
    """Prints the report; exits 1 when it found anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))  # each refusal leaves a line
    report = asyncio.run(fuzz(arguments.inputs, seed=arguments.seed))
    print(json.dumps(asdict(report)))  # noqa: T201 - its output is its purpose
    raise SystemExit(report.crashes > 0)


if __name__ == "__main__":
    main()
