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
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import grpc
import grpc.aio
import psutil
import structlog
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

if not __package__:  # run as a script: the tests are no installed package
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz.fuzzed_node import NOBODY, REQUEST, ROLES, FuzzedNode, fuzzed_node
from tests.fuzz.noise import message, mutated, random_bytes

from realign_daemon.rpc.doors import ON_BEHALF
from realign_daemon.rpc.server import FILES
from realign_daemon.trust.roles import ALLOWED

CALLERS = 8  # at once
UNARY_S = 20.0
STREAM_S = 0.1  # a stream that is still open then has taken what it was given
MOST_PARTS = 4  # of a stream of requests
MOST_REPLIES = 3
ALLOWED_FRACTION = 0.75  # of the inputs come from somebody who may call the method
BEHALF_FRACTION = 0.3  # of a node's are said to be somebody else's
LOCAL = "Internal error from Core"  # grpc.aio's client says so by itself of a call that ended while it was being sent
GIVEAWAYS = ("Error", "Exception", "Traceback", ".py", "object at 0x", "internal error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an input did that it must not."""

    caller: str
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


def methods() -> tuple[MethodDescriptor, ...]:
    """Every method of the contract, with those that only strangers call."""
    files = [cast("FileDescriptor", file.DESCRIPTOR) for file in FILES]
    return tuple(method for file in files for service in file.services_by_name.values() for method in service.methods)


class Fuzzer:
    """Calls the methods of a node in everybody's name and keeps what it found."""

    def __init__(self, node: FuzzedNode, *, seed: int) -> None:
        self._node = node
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

    async def _call(self) -> None:
        method = self._chance.choice(self._methods)
        path = f"/{method.containing_service.full_name}/{method.name}"
        caller = self._caller(method, path)
        parts = [
            self._input(method) for _ in range(self._chance.randint(1, MOST_PARTS) if method.client_streaming else 1)
        ]
        code, details = await self._outcome(caller, path, method, parts)
        self.codes[code] += 1
        if code in ("INTERNAL", "UNKNOWN", "HUNG") or any(word in details for word in GIVEAWAYS):
            shown = tuple(part[:200].hex() for part in parts)
            self.findings.append(Finding(caller=caller, method=path, code=code, details=details[:300], parts=shown))

    def _caller(self, method: MethodDescriptor, path: str) -> str:
        if method.containing_service.name in self._node.channels:
            return method.containing_service.name
        entitled = [role for role in ("owner", *ROLES) if role in ALLOWED[path]]
        everybody = ("owner", *ROLES, NOBODY)
        return self._chance.choice(entitled if self._chance.random() < ALLOWED_FRACTION else everybody)

    def _input(self, method: MethodDescriptor) -> bytes:
        way = self._chance.random()
        if way < 0.15:
            return random_bytes(self._chance)
        whole = message(
            self._chance, GetMessageClass(method.input_type), self._node.words, data=(REQUEST,)
        ).SerializeToString()
        return whole if way < 0.7 else mutated(self._chance, whole)

    async def _outcome(
        self, caller: str, path: str, method: MethodDescriptor, parts: Sequence[bytes]
    ) -> tuple[str, str]:
        async def sent() -> AsyncIterator[bytes]:
            for part in parts:
                yield part

        streams = method.client_streaming or method.server_streaming
        way = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        speaks_for_others = caller == "node" and self._chance.random() < BEHALF_FRACTION
        call = getattr(self._node.channels[caller], way)(path)(
            sent() if method.client_streaming else parts[0],
            timeout=STREAM_S if method.server_streaming else UNARY_S,
            metadata=((ON_BEHALF, self._chance.choice(self._node.on_behalf)),) if speaks_for_others else None,
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
    """Calls a daemon in this process so often."""
    process = psutil.Process()
    with tempfile.TemporaryDirectory(prefix="realign-fuzz-") as folder:
        async with fuzzed_node(Path(folder)) as node:
            fuzzer = Fuzzer(node, seed=seed)
            await fuzzer.run(min(200, inputs // 10))  # what is made once is there afterwards
            warmed_up = sum(fuzzer.codes.values())
            rss_start, fds_start = process.memory_info().rss, process.num_fds()
            await fuzzer.run(inputs - warmed_up)
            await asyncio.sleep(2 * STREAM_S)  # what was cancelled ends
            gc.collect()
            rss_end, fds_end = process.memory_info().rss, process.num_fds()
            if node.running.done():
                details = repr(node.running)
                fuzzer.findings.append(Finding(caller="", method="the daemon", code="ENDED", details=details, parts=()))
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
