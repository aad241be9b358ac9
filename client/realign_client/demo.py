"""Demo: a throw-away cluster of two nodes on loopback that does a real job, and is gone afterwards."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from realign_client.api import Client, connect
from realign_client.daemon_process import DaemonProcess, require_node_install
from realign_client.errors import ClientError, LocalFailure
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
    environment = {"REALIGN_CLUSTER_TAG": f"demo-{secrets.token_hex(4)}"}
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
    async with connect(nodes[LEFT].wait_until_ready()) as left:
        nodes[RIGHT].wait_until_ready()
        try:
            await _until(left, lambda seen: len(seen.members) == len(nodes), MEET_TIMEOUT_S)
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
        files = await client.fetch(job.id, output) if job.output else ()
        return DemoResult(job=job, plan_json=reply.plan_json, status=status, files=files)


@asynccontextmanager
async def _settled(nodes: dict[str, DaemonProcess], tell: Tell) -> AsyncGenerator[tuple[Client, status_pb2.NodeStatus]]:
    """A client of the node that does not lead, once both are measured and agree on who does."""
    addresses = {name: node.wait_until_ready() for name, node in nodes.items()}
    async with connect(addresses[LEFT]) as left, connect(addresses[RIGHT]) as right:
        met = await _until(left, lambda seen: len(seen.members) == len(nodes), SETTLE_TIMEOUT_S)
        for member in met.members:
            tell(f"{member.name} is {member.state} at {', '.join(member.addresses)}")
        seen = await _until(left, lambda seen: bool(seen.leader.id), SETTLE_TIMEOUT_S)
        await _until(right, lambda there: there.leader.id == seen.leader.id, SETTLE_TIMEOUT_S)
        tell(f"{seen.leader.name} leads (term {seen.leader.term}); measuring both nodes")
        seen = await _until(left, _all_measured, SETTLE_TIMEOUT_S)
        for member in seen.members:
            tell(f"{member.name}:")
            for line in benchmark_lines(member.facts.benchmark):
                tell(f"  {line}")
        follower = right if seen.leader.name == LEFT else left
        yield follower, seen


def _all_measured(status: status_pb2.NodeStatus) -> bool:
    return all(member.facts.benchmark.models for member in status.members)


async def _until(
    client: Client, holds: Callable[[status_pb2.NodeStatus], bool], timeout_s: float
) -> status_pb2.NodeStatus:
    """The first status that the condition holds of. Raises TimeoutError when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while not holds(seen := await client.status()):
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(POLL_S)
    return seen
