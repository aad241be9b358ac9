"""Data commands: a look at what a job has made, where a row comes from, and taking rows out."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from realign_client import event_loop
from realign_client.api import connect
from realign_client.errors import BadUsage
from realign_client.options import AsJson, Endpoint, JobId
from realign_client.render.pilot import item_line
from realign_client.render.provenance import provenance_lines
from realign_client.terminal import emit, note, say
from realign_proto.v1 import curation_pb2 as pb


def sample(
    job: JobId,
    *,
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many.")] = 20,
    stage: Annotated[str, typer.Option("--stage", metavar="STAGE", help="What this stage made.")] = "",
    rejected: Annotated[bool, typer.Option("--rejected", help="What was left out, with its reasons.")] = False,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Look at some of what a job has made, spread over all of it; also while it runs."""

    async def run() -> None:
        async with connect(endpoint) as client:
            reply = await client.sample(pb.SampleRequest(job_id=job, n=n, stage=stage, rejected=rejected))
        items = [json.loads(item) for item in reply.items_json]
        if as_json:
            emit({"of": reply.of, "total": reply.total, "items": items})
            return
        for item in items:
            name = f"{item['id'][:12]}  " if "id" in item else ""
            say(f"{name}{item_line(item)}")
        note(f"{len(items)} of {reply.total} {reply.of if reply.of in ('rows', 'rejected') else f'of {reply.of}'}")

    event_loop.run(run())


def why(
    job: JobId,
    row: Annotated[str, typer.Argument(metavar="ROW", help="The row's id, or the beginning of it.")],
    *,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Say where a row comes from: its place in the source, models, seeds, judgements, gates and node."""

    async def run() -> None:
        async with connect(endpoint) as client:
            report = await client.why(job, row)
        fields, provenance = json.loads(report.row_json), json.loads(report.provenance_json)
        if as_json:
            emit({"row": fields, "provenance": provenance})
        else:
            say(provenance_lines(fields, provenance))

    event_loop.run(run())


def drop(
    job: JobId,
    *,
    page: Annotated[
        list[int] | None, typer.Option("--page", metavar="N", help="Rows from this page, of --source if given.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option("--source", metavar="NAME", help="Rows from this source.")] = None,
    row: Annotated[list[str] | None, typer.Option("--row", metavar="ID", help="This row.")] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="FIELD=VALUE", help="Rows whose field has this value.")
    ] = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Take the rows out of an ended job's files that any of the options means; nothing is generated again."""
    places = [f"page {number}" for number in page or ()]
    of_source = [f"{place} of {name}" for place in places for name in source or ()]
    conditions = [
        *(of_source or [*places, *(f"source {name}" for name in source or ())]),
        *(f"row {name}" for name in row or ()),
        *(f"where {condition}" for condition in where or ()),
    ]
    if not conditions:
        raise BadUsage("say which rows to drop: --page N, --source NAME, --row ID or --where FIELD=VALUE")

    async def run() -> None:
        async with connect(endpoint) as client:
            reply = await client.drop(job, conditions)
        if as_json:
            emit({"job_id": reply.job.id, "dropped": reply.dropped, "output": reply.job.output})
        else:
            say(f"{reply.dropped} rows dropped; fetch the files again with: realignctl fetch {reply.job.id}")

    event_loop.run(run())
