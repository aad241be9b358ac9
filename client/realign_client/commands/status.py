"""Status commands: what a node sees of itself and of its cluster, and what its machine measures."""

from __future__ import annotations

from typing import Annotated

import typer

from realign_client import event_loop
from realign_client.api import connect
from realign_client.options import AsJson, Endpoint
from realign_client.plain import plain
from realign_client.render.status import benchmark_lines, member_lines
from realign_client.status import show_status
from realign_client.terminal import emit, note, say
from realign_proto.v1 import status_pb2

REFRESH_S = 1.0


def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second until Ctrl-C.")] = False,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show a node, its cluster, its engine and the jobs at work."""
    event_loop.run(show_status(endpoint, watch=watch, as_json=as_json))


def nodes(*, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """List the nodes of the cluster and what each can do."""
    event_loop.run(_nodes(endpoint, as_json=as_json))


def bench(
    *,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Else the pocket model.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Measure again where a valid figure is known.")] = False,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Measure a node's machine: matrix products, memory, and a model at several batch sizes."""
    event_loop.run(_bench(status_pb2.BenchRequest(model=model, force=force), endpoint, as_json=as_json))


async def _nodes(endpoint: str | None, *, as_json: bool) -> None:
    async with connect(endpoint) as client:
        seen = await client.status()
    if as_json:
        emit({"nodes": plain(seen)["members"]})
    else:
        say(member_lines(seen))


async def _bench(request: status_pb2.BenchRequest, endpoint: str | None, *, as_json: bool) -> None:
    async with connect(endpoint) as client:
        async for event in client.bench(request):
            if event.text:
                note(event.text)
            if event.HasField("facts"):
                if as_json:
                    emit(plain(event.facts))
                else:
                    say(benchmark_lines(event.facts.benchmark))
