"""Node commands: what the owner of a machine decides about it."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from realign_client import event_loop
from realign_client.api import connect
from realign_client.errors import BadUsage
from realign_client.options import AsJson, Endpoint
from realign_client.plain import plain
from realign_client.render.figures import duration
from realign_client.terminal import emit, say
from realign_proto.v1 import facts_pb2

app = typer.Typer(rich_markup_mode=None, help="Keep a node's machine for yourself for a while.")
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


@app.command()
def pause(
    *,
    lasts: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="For so long: 2h, 90m, 1d12h. Else until resumed.")
    ] = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Have the daemon take no work and give its memory back, also after a restart; the cluster goes on without it."""
    event_loop.run(_pause(None if lasts is None else parse_duration(lasts), endpoint, as_json=as_json))


@app.command()
def resume(*, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Have the daemon take work again."""
    event_loop.run(_resume(endpoint, as_json=as_json))


def parse_duration(text: str) -> float:
    """Seconds. Raises BadUsage for what is no length of time."""
    if not re.fullmatch(r"(\d+(\.\d+)?[dhms])+", text):
        raise BadUsage(f"{text!r} is no length of time; write it as 2h, 90m, 45s or 1d12h")
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"([\d.]+)([dhms])", text))


async def _pause(seconds: float | None, endpoint: str | None, *, as_json: bool) -> None:
    async with connect(endpoint) as client:
        facts = await client.pause_node(seconds)
    until = f"for {duration(seconds)}" if seconds else "until `realignctl node resume`"
    _show(facts, f"{facts.name} is paused {until}; what runs there has half a minute to end", as_json=as_json)


async def _resume(endpoint: str | None, *, as_json: bool) -> None:
    async with connect(endpoint) as client:
        facts = await client.resume_node()
    why = f", but takes none now: {facts.refusal}" if facts.refusal else ""
    _show(facts, f"{facts.name} takes work again{why}", as_json=as_json)


def _show(facts: facts_pb2.NodeFacts, text: str, *, as_json: bool) -> None:
    if as_json:
        emit(plain(facts))
    else:
        say(text)
