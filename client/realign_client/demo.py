"""Demo: a throw-away cluster of two nodes on loopback that does a real job, and is gone afterwards."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from realign_client.api import Client, connect
from realign_client.daemon_process import DaemonProcess, require_node_install
from realign_client.errors import ClientError, LocalFailure
from realign_client.outputs import at_home_here
from realign_client.render.plan import plan_lines
from realign_client.render.status import benchmark_lines
from realign_client.resources import resource
from realign_client.sources import collect
from realign_client.watching import Style, follow
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1 import status_pb2

LEFT, RIGHT = "left", "right"
REQUEST = "Curate DPO preference pairs from pocket_arithmetic.pdf"
DOCUMENT = "pocket_arithmetic.pdf"
MODEL = "pocket"
MEET_TIMEOUT_S = 20.0  # by mDNS; a cluster whose multicast works meets within two seconds
SETTLE_TIMEOUT_S = 180.0  # for an election and two benchmarks of some 20 s each, on a busy machine
POLL_S = 0.2

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """The job as it ended, the plan it ran by, the cluster that did it, and the files that it made."""

    job: pb.Job
    plan_json: str
    status: status_pb2.NodeStatus
    files: tuple[Path, ...]


async def run_demo(output: Path, *, tell: Tell, style: Style) -> DemoResult:
    """Starts the cluster, submits the example to the node that does not lead, fetches the output, ends the cluster.

    Raises:
        ClientError: something on the way failed; the ends of the daemons' logs are told first.
    """
    require_node_install()
    # A tag of its own: no other cluster of this machine or network takes part, not even another demo.
    # Both nodes share this machine's cores: measured at the same time, each would measure the other's noise.
    environment = {
        "REALIGN_CLUSTER_TAG": f"demo-{secrets.token_hex(4)}",
        "REALIGN_BENCHMARK__ON_START": "false",
        "REALIGN_POWER__USER_FREE_FRACTION": "0",  # who runs a demo waits for it, and its model is tiny
    }
    with tempfile.TemporaryDirectory(prefix="realign-demo-") as folder, ExitStack() as daemons:
        nodes: dict[str, DaemonProcess] = {}

        def start(name: str, *arguments: str) -> None:
            named = environment | {"REALIGN_NODE_NAME": name}
            node = DaemonProcess(Path(folder) / name, "--listen", "127.0.0.1:0", *arguments, environment=named)
            nodes[name] = daemons.enter_context(node)

        try:
            tell(f"starting two nodes on this machine, {LEFT} and {RIGHT}")
            start(LEFT)
            start(RIGHT)
            if not await _have_met(nodes):
                tell(f"multicast does not work on loopback here, so {RIGHT} is told where {LEFT} is")
                nodes[RIGHT].stop()
                start(RIGHT, "--peer", nodes[LEFT].wait_until_ready())
            return await _work(nodes, output, tell=tell, style=style)
        except (ClientError, TimeoutError) as error:
            for name, node in nodes.items():
                tell(f"the last lines of {name}'s log:\n{node.last_words()}")
            if isinstance(error, TimeoutError):
                raise LocalFailure("the two nodes did not get ready in time; see their logs above") from error
            raise


async def _have_met(nodes: dict[str, DaemonProcess]) -> bool:
    for node in nodes.values():
        node.wait_until_ready()
    async with connect(nodes[LEFT].socket) as left:
        try:
            await _until([left], _have_all(len(nodes)), MEET_TIMEOUT_S)
        except TimeoutError:
            return False
        return True


async def _work(nodes: dict[str, DaemonProcess], output: Path, *, tell: Tell, style: Style) -> DemoResult:
    async with _settled(nodes, tell) as (client, status):
        document = resource("examples", DOCUMENT)
        sources = collect([str(document)])
        request = pb.JobRequest(text=REQUEST, data_type="dpo", model=MODEL, assume_yes=True, output_hint=output.name)
        tell(f"submitting “{REQUEST}” to the node that does not lead")
        reply = await client.submit(request, sources)
        for line in plan_lines(json.loads(reply.plan_json)):
            tell(line)
        job = await follow(client.watch(reply.job_id), style)
        files: tuple[Path, ...] = ()
        if job.output:
            files = await client.fetch(job.id, output)
            job = at_home_here(job, output)
        return DemoResult(job=job, plan_json=reply.plan_json, status=status, files=files)


@asynccontextmanager
async def _settled(nodes: dict[str, DaemonProcess], tell: Tell) -> AsyncGenerator[tuple[Client, status_pb2.NodeStatus]]:
    """A client of the node that does not lead, once both are measured and agree on who does."""
    for node in nodes.values():
        node.wait_until_ready()
    async with connect(nodes[LEFT].socket) as left, connect(nodes[RIGHT].socket) as right:
        seen, _ = await _until([left, right], _have_all(len(nodes)), SETTLE_TIMEOUT_S)
        for member in seen.members:
            tell(f"{member.name} is {member.state} at {', '.join(member.addresses)}")
        # Each node leads itself until it meets the other, so both are asked until they say the same.
        seen, _ = await _until([left, right], _agree, SETTLE_TIMEOUT_S)
        tell(f"{seen.leader.name} leads (term {seen.leader.term}); measuring one node after the other")
        for client in (left, right):
            async for _ in client.bench(status_pb2.BenchRequest()):
                pass
        seen, there = await _until([left, right], _all_measured, SETTLE_TIMEOUT_S)
        for member in seen.members:
            tell(f"{member.name}:")
            for line in benchmark_lines(member.facts.benchmark):
                tell(f"  {line}")
        yield (right, there) if seen.leader.name == LEFT else (left, seen)


Condition = Callable[[Sequence[status_pb2.NodeStatus]], bool]


def _have_all(count: int) -> Condition:
    return lambda seen: all(len(one.members) == count for one in seen)


def _agree(seen: Sequence[status_pb2.NodeStatus]) -> bool:
    return seen[0].leader.id != "" and len({one.leader.id for one in seen}) == 1


def _all_measured(seen: Sequence[status_pb2.NodeStatus]) -> bool:
    return _agree(seen) and all(member.facts.benchmark.models for one in seen for member in one.members)


async def _until(clients: Sequence[Client], condition: Condition, timeout_s: float) -> Sequence[status_pb2.NodeStatus]:
    """The first statuses that the condition holds of. Raises TimeoutError when there are none in time."""
    deadline = time.monotonic() + timeout_s
    while not condition(seen := [await client.status() for client in clients]):
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(POLL_S)
    return seen
