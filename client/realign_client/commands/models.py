"""Models commands: which weights lie where, and how they come and go."""

from __future__ import annotations

from typing import Annotated

import typer

from realign_client import event_loop
from realign_client.api import connect
from realign_client.errors import LocalFailure
from realign_client.options import AsJson, Endpoint, Yes
from realign_client.plain import plain
from realign_client.render.figures import size
from realign_client.render.models import arrival_meter, models_lines
from realign_client.terminal import agreed, emit, note, say
from realign_proto.v1 import models_pb2 as pb

app = typer.Typer(rich_markup_mode=None, help="See which weights lie on which node, fetch some, or remove them.")
DECLINED = 1

Name = Annotated[str, typer.Argument(metavar="NAME", help="A hub id, or a folder's name.")]
Node = Annotated[str, typer.Option("--node", metavar="NODE", help="The node; else the one that is asked.")]


@app.command(name="list")
def list_models(*, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """List the models of every node: how large they are, where they lie, and which jobs need them."""

    async def run() -> None:
        async with connect(endpoint) as client:
            found = await client.models()
        if as_json:
            emit(plain(found))
        else:
            say(models_lines(found))

    event_loop.run(run())


@app.command()
def pull(
    name: Name,
    *,
    revision: Annotated[
        str, typer.Option("--revision", metavar="R", help="A branch, tag or commit of the hub; else what nodes have.")
    ] = "",
    node: Node = "",
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Bring a model to a node: from another node that has it, else from the hub. One that broke off goes on."""

    async def run() -> None:
        show = arrival_meter(name)
        model: pb.ModelOnNode | None = None
        async with connect(endpoint) as client:
            async for arrived in client.pull(pb.PullModelRequest(name=name, revision=revision, node=node)):
                show(arrived)
                model = arrived.model if arrived.HasField("model") else None
        if model is None:
            raise LocalFailure(f"the daemon stopped before {name} was there; pull again, and it goes on")
        if as_json:
            emit(plain(model))
        else:
            at = f" at {model.revision[:12]}" if model.revision else ""
            say(f"{model.name}{at}, {size(model.size_bytes)}, is on {model.node} in {model.path}")

    event_loop.run(run())


@app.command()
def rm(name: Name, *, node: Node = "", yes: Yes = False, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Remove a model that realign brought to a node, unless a job that has not ended needs it."""

    async def run() -> None:
        async with connect(endpoint) as client:
            where = f"node {node}" if node else "the node that is asked"
            if not agreed(f"Remove {name} from {where}?", yes=yes):
                raise typer.Exit(DECLINED)
            gone = await client.remove_model(name, node)
        if as_json:
            emit(plain(gone))
        else:
            say(f"{gone.name} is gone from {gone.node}: {size(gone.size_bytes)}")
            note("another node may still have it: see `realignctl models list`")

    event_loop.run(run())
