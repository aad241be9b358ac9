"""Cluster commands: who belongs to the cluster, and who comes in and goes."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from realign_client import event_loop
from realign_client.api import Client, connect
from realign_client.commands.node import parse_duration
from realign_client.credentials import forget_credentials
from realign_client.endpoint import data_dir, socket_of
from realign_client.enrolment import enrol, parse_token
from realign_client.errors import BadUsage
from realign_client.options import AsJson, Endpoint
from realign_client.plain import plain
from realign_client.reach import accepts
from realign_client.render.cluster import audit_lines, trust_lines
from realign_client.terminal import emit, note, say
from realign_proto.v1 import trust_pb2

ROLES = ("node", "submit", "read", "admin")

app = typer.Typer(rich_markup_mode=None, help="Who belongs to the cluster: invite, join, revoke, leave.")

MemberName = Annotated[
    str, typer.Argument(metavar="MEMBER", help="Its name, its node id, or the beginning of its key.")
]


@app.command()
def init(
    *,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the cluster; else the node's.")] = "",
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Found a cluster on this machine's daemon, which keeps the key that lets others in."""
    _show(endpoint, lambda client: client.trust.found(name), as_json=as_json)


@app.command()
def invite(
    *,
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="node, or for a client submit, read or admin.")
    ] = "node",
    ttl: Annotated[str, typer.Option("--ttl", metavar="TIME", help="How long it is good for: 1h, 30m.")] = "1h",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the member; else as it calls itself.")] = "",
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Print the line that lets one machine or client in, once; founds the cluster where there is none."""
    if role not in ROLES:
        raise BadUsage(f"there is no role {role!r}; choose one of {', '.join(ROLES)}")
    event_loop.run(_invite(role, parse_duration(ttl), name, endpoint, as_json=as_json))


@app.command()
def join(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="What `cluster invite` printed.")],
    *,
    at: Annotated[str, typer.Option("--at", metavar="HOST:PORT", help="Where to join; else found by Bonjour.")] = "",
    as_client: Annotated[
        bool, typer.Option("--as-client", help="Let this client in, not this machine's daemon.")
    ] = False,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of this client; else the machine's.")] = "",
    as_json: AsJson = False,
) -> None:
    """Take this machine's daemon into a cluster, or where none runs this client."""
    parse_token(token)
    daemon = socket_of(data_dir())
    if as_client or not accepts(daemon):
        event_loop.run(_join_as_client(token, at, name or socket.gethostname().partition(".")[0], as_json=as_json))
    else:
        _show(daemon, lambda client: client.trust.enrol(token, at), as_json=as_json)


@app.command()
def members(*, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """List who belongs to the cluster."""
    _show(endpoint, lambda client: client.trust.state(), as_json=as_json)


@app.command()
def revoke(
    member: MemberName,
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="For the member, and for the audit.")] = "",
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Put a member out for ever; its open connections end at once."""
    _show(endpoint, lambda client: client.trust.revoke(member, reason=reason), as_json=as_json)


@app.command()
def remove(
    node: Annotated[str, typer.Argument(metavar="NODE", help="Its name, its id, or the beginning of its key.")],
    *,
    dead: Annotated[
        bool, typer.Option("--dead", help="It will not come back; the leader becomes the home of its jobs.")
    ] = False,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Put a node out that is lost for good."""
    if not dead:
        raise BadUsage("say --dead when the node is lost for good; a node that runs is put out with `cluster revoke`")
    _show(endpoint, lambda client: client.trust.remove_dead(node), as_json=as_json)


@app.command()
def transfer(
    node: Annotated[str, typer.Argument(metavar="NODE", help="Its name or id; else whoever ranks best.")] = "",
    *,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Have another node lead."""
    _show(endpoint, lambda client: client.trust.transfer(node), as_json=as_json)


@app.command()
def leave(
    *,
    as_client: Annotated[bool, typer.Option("--as-client", help="This client, not this machine's daemon.")] = False,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Take this machine's daemon out of its cluster; its jobs and results stay on its disk."""
    if as_client:
        forget_credentials()
        if as_json:
            emit(plain(trust_pb2.TrustState()))
        else:
            say("this client belongs to no cluster now; have it revoked there, too")
        return
    _show(endpoint, lambda client: client.trust.leave(), as_json=as_json)


@app.command(name="rotate-authority")
def rotate_authority(
    *,
    finish: Annotated[bool, typer.Option("--finish", help="Everybody has renewed: drop the old one.")] = False,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Change the key that lets others in: begin, and once all members have renewed, finish."""
    _show(endpoint, lambda client: client.trust.rotate_authority(finish=finish), as_json=as_json)


@app.command()
def audit(
    *,
    last: Annotated[int, typer.Option("-n", "--last", metavar="N", min=1, help="So many lines.")] = 100,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show what was done through a node, by whom, and what was refused."""
    event_loop.run(_audit(last, endpoint, as_json=as_json))


def _show(endpoint: str | None, call: Callable[[Client], Awaitable[trust_pb2.TrustState]], *, as_json: bool) -> None:
    async def run() -> trust_pb2.TrustState:
        async with connect(endpoint) as client:
            return await call(client)

    state = event_loop.run(run())
    if as_json:
        emit(plain(state))
    else:
        say(trust_lines(state))


async def _invite(role: str, ttl_s: float, name: str, endpoint: str | None, *, as_json: bool) -> None:
    async with connect(endpoint) as client:
        if not (await client.trust.state()).cluster:
            founded = await client.trust.found()
            note(f"founded the cluster {founded.cluster!r}; its key lies on this node alone")
        reply = await client.trust.invite(role, ttl_s=ttl_s, name=name)
    if as_json:
        emit(plain(reply))
        return
    how = "" if role == "node" else " --as-client"
    where = "on the machine that is to join" if role == "node" else "where the client is to be"
    say(f"realignctl cluster join {reply.token}{how}")
    note(f"run this line {where}; it works once, and whoever has it can join")
    if reply.addresses:
        note(f"where Bonjour does not reach, add --at {reply.addresses[0]}")


async def _join_as_client(token: str, at: str, name: str, *, as_json: bool) -> None:
    invitation = parse_token(token)
    if at:
        places: tuple[str, ...] = (at,)
    else:
        from realign_client.bonjour import find_join

        places = find_join(invitation.authority_sha256)
    credentials = await enrol(places, invitation, name=name)
    if as_json:
        emit({"cluster": credentials.cluster, "addresses": list(credentials.addresses)})
    else:
        say(f"this client belongs to the cluster {credentials.cluster!r} now")


async def _audit(last: int, endpoint: str | None, *, as_json: bool) -> None:
    async with connect(endpoint) as client:
        reply = await client.trust.audit(last)
    if as_json:
        emit(plain(reply))
    else:
        say(audit_lines(reply))
