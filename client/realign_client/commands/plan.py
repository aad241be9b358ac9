"""Plan command: what would run where, on the live cluster or on machines that a file describes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from realign_client import event_loop, options
from realign_client.api import connect
from realign_client.errors import BadUsage
from realign_client.job_file import JobFile, gather
from realign_client.render.plan import plan_lines
from realign_client.sources import collect
from realign_client.terminal import emit, say
from realign_client.wish import Wish, model_folder, wish_of
from realign_planner.cluster_file import parse
from realign_planner.data_types import as_data_type
from realign_planner.document import plan_document
from realign_planner.errors import PlannerError
from realign_planner.models import UnknownModel
from realign_planner.plan import BadRequest, PlanRequest
from realign_planner.strategy import make_plan

NOTHING_FITS = 1


def plan(
    request: options.Request = None,
    *,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="FILE", help="Plan for the machines in this TOML file, offline.")
    ] = None,
    spec: options.Spec = None,
    source: options.Sources = None,
    data_type: options.DataTypeName = None,
    model: options.Model = None,
    target: options.Target = None,
    generator: options.Generator = None,
    judge: options.Judges = None,
    engine: options.Engine = None,
    engine_model: options.EngineModel = None,
    engine_templates: options.EngineTemplates = None,
    bits: options.Bits = None,
    count: options.Count = None,
    seed: options.Seed = None,
    nodes: options.Nodes = None,
    exclude_node: options.ExcludeNodes = None,
    until: options.Until = None,
    eval_set: options.EvalSets = None,
    from_data: options.FromData = None,
    columns: options.Columns = None,
    append: options.Append = None,
    thinking: options.Thinking = None,
    settings: options.Settings = None,
    endpoint: options.Endpoint = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what a request would run where, how long it should take, and why; nothing is started."""
    given = wish_of(locals())
    asked = gather(given, spec)
    wish = asked.wish.checked()
    if cluster is not None:
        if wish.engine:
            raise BadUsage(
                "--engine names a server that must answer, and --cluster plans offline; leave one of them out"
            )
        collect(wish.sources)  # a file that was named must be there, though nothing of it is needed
        wish.data_file()
        document = plan_offline(wish, Path(cluster).expanduser())
    else:
        document = event_loop.run(_plan_live(replace(asked, wish=wish), endpoint))
    if as_json:
        emit(document)
    else:
        say(plan_lines(document))
    if document["strategy"] is None:
        raise typer.Exit(NOTHING_FITS)


def plan_offline(wish: Wish, cluster: Path) -> Mapping[str, Any]:
    """The plan document for the machines that the file describes.

    Raises:
        BadUsage: the file cannot be read, or the request cannot be planned for as it stands.
    """
    try:
        facts = parse(cluster.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadUsage(f"the cluster file {cluster} cannot be read ({error}); check the path") from error
    except PlannerError as error:
        raise BadUsage(f"{cluster}: {error}") from error
    request = PlanRequest(
        text=wish.request,
        data_type=as_data_type(wish.data_type),
        model=wish.model or None,
        target=wish.target or None,
        generator=wish.generator or None,
        judge=wish.judges[0] if wish.judges else None,
        judges=wish.judges[1:],
        bits=wish.bits,
        count=wish.count,
        nodes=wish.nodes,
        exclude_nodes=wish.exclude_nodes,
        until=wish.until or None,
        has_rows=bool(wish.from_data),
        seed=wish.seed or 0,
    )
    made = make_plan(request, facts, configs=_configs(wish))
    if isinstance(made, UnknownModel | BadRequest):
        raise BadUsage(made.message)
    return plan_document(made)


async def _plan_live(asked: JobFile, endpoint: str | None) -> Mapping[str, Any]:
    message = asked.wish.message()
    message.spec_json = asked.spec_json
    message.sources.extend(source.announcement() for source in collect(asked.wish.sources))
    if (data := asked.wish.data_file()) is not None:
        message.data.CopyFrom(data.announcement())
    async with connect(endpoint) as client:
        return json.loads((await client.plan(message)).plan_json)


def _configs(wish: Wish) -> dict[str, Mapping[str, object]]:
    """The config.json of every model that is named by a folder of this machine."""
    folders = {name: model_folder(name) for name in (wish.model, wish.target, wish.generator, *wish.judges)}
    return {name: _config(folder) for name, folder in folders.items() if folder is not None}


def _config(folder: Path) -> Mapping[str, object]:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadUsage(f"the config.json in {folder} cannot be read ({error}); name a model's folder") from error
    if not isinstance(config, dict):
        raise BadUsage(f"the config.json in {folder} is no JSON object; name a model's folder")
    return cast("Mapping[str, object]", config)
