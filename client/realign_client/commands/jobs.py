"""Job commands: what a person can see of jobs and tell them once they are submitted."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from realign_client import deliveries, event_loop
from realign_client.api import Client, connect
from realign_client.errors import INTERRUPTED, BadUsage
from realign_client.options import AsJson, Endpoint, JobId, Output, Settings
from realign_client.outputs import at_home_here, safe_path
from realign_client.plain import plain
from realign_client.render.jobs import job_lines, jobs_lines
from realign_client.render.summary import summary_lines
from realign_client.terminal import emit, note, say
from realign_client.watching import follow, style_for
from realign_client.wish import read_pairs
from realign_proto.v1 import curation_pb2 as pb


def jobs(*, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """List the jobs of every node that can be reached."""

    async def run() -> None:
        async with connect(endpoint) as client:
            found = await client.jobs()
            if as_json:
                emit({"jobs": [plain(job) for job in found]})
            else:
                say(jobs_lines(found))
            waiting = await deliveries.deliver(client)
        if not as_json:
            say(f"{job_id} will be delivered to {folder}" for job_id, folder in waiting.items())

    event_loop.run(run())


def show(
    job: JobId,
    *,
    spec: Annotated[bool, typer.Option("--spec", help="Print the job as a file for `submit --spec`.")] = False,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show a job: its stages, nodes, gates and what to do about them."""

    async def run() -> None:
        async with connect(endpoint) as client:
            found = await client.job(job)
            if spec:
                print(json.dumps(json.loads(found.spec_json or "{}"), indent=2), flush=True)
            elif as_json:
                emit(plain(found))
            else:
                say(job_lines(found))
            await deliveries.deliver(client)

    event_loop.run(run())


def watch(
    job: JobId,
    *,
    output: Output = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Follow a job to its end and exit with its code. Ctrl-C leaves the job running."""
    job_id = job

    async def run() -> int:
        nonlocal job_id
        async with connect(endpoint) as client:
            job_id = (await client.job(job)).id
            await deliveries.deliver(client, besides=job_id)
            ended = await follow(client.watch(job_id), style_for(as_json=as_json))
            if output is None:
                await deliveries.deliver(client)
            return await finish(client, ended, output=output, as_json=as_json)

    try:
        code = event_loop.run(run())
    except KeyboardInterrupt:
        note(f"the job goes on; realignctl watch {job_id}")
        code = INTERRUPTED
    raise typer.Exit(code)


async def finish(client: Client, job: pb.Job, *, output: str | None, as_json: bool) -> int:
    """Fetches the files of a job that stopped where an output folder was named, says how it ended; its exit code."""
    if output is not None and job.output:
        files = await client.fetch(job.id, Path(output).expanduser())
        note(f"{len(files)} files in {output}")
        deliveries.forget(job.id)
        job = at_home_here(job, Path(output).expanduser())
    if not as_json:
        say(summary_lines(job))
        if output is None and job.output:
            say(f"fetch its files with: realignctl fetch {job.id}")
    return job.exit_code


def cancel(job: JobId, *, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """End a job; what it made so far is written, and `fetch` gets it."""
    told = _tell(lambda client: client.cancel(job), endpoint, as_json=as_json)
    if told.state == "cancelled" and not told.ended_unix_s:
        note(f"what it made is still being written; get it soon with: realignctl fetch {told.id}")


def pause(job: JobId, *, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Stop a job until it is resumed."""
    _tell(lambda client: client.pause(job), endpoint, as_json=as_json)


def resume(job: JobId, *, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Let a paused job go on."""
    _tell(lambda client: client.resume(job), endpoint, as_json=as_json)


def adopt(job: JobId, *, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Give a job another home, when the one it had is gone for good; what the lost one decides counts no more."""
    _tell(lambda client: client.adopt(job), endpoint, as_json=as_json)


def retry(
    job: JobId,
    *,
    from_stage: Annotated[str, typer.Option("--from", metavar="STAGE", help="Go back to this stage.")] = "",
    settings: Settings = None,
    count: Annotated[
        int | None, typer.Option("--count", help="Rows for training wanted now; dropped ones stay out.")
    ] = None,
    override: Annotated[str, typer.Option("--override", metavar="GATE", help="Let this gate pass.")] = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with the data.")] = "",
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Run an ended or blocked job again; results that it has are not computed again."""
    if bool(override) != bool(reason.strip()):
        raise BadUsage("--override and --reason belong together: name the gate and why it may pass")
    request = pb.RetryRequest(
        job_id=job,
        from_stage=from_stage,
        settings=read_pairs(settings) | ({} if count is None else {"count": str(count)}),
        override_gate=override,
        reason=reason.strip(),
    )
    told = _tell(lambda client: client.retry(request), endpoint, as_json=as_json)
    for warning in told.warnings:
        note(f"warning: {warning}")


def fetch(job: JobId, *, output: Output = None, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Fetch the files of a job, checked against its SHA256SUMS; into a folder named after the job if none is given."""

    async def run() -> None:
        async with connect(endpoint) as client:
            found = await client.job(job)
            folder = Path(output).expanduser() if output else default_folder(found)
            files = await client.fetch(found.id, folder)
            deliveries.forget(found.id)
            if as_json:
                emit({"job_id": found.id, "output": str(folder.absolute()), "files": [str(file) for file in files]})
            else:
                say(f"{len(files)} files in {folder}")
            await deliveries.deliver(client)

    event_loop.run(run())


def default_folder(job: pb.Job) -> Path:
    """Where the files of a job go when nobody says: a folder of its name beside where the person stands."""
    return safe_path(Path.cwd(), (job.folder_name or job.id).replace("/", "_"))


def _tell(order: Callable[[Client], Awaitable[pb.Job]], endpoint: str | None, *, as_json: bool) -> pb.Job:
    async def run() -> pb.Job:
        async with connect(endpoint) as client:
            return await order(client)

    told = event_loop.run(run())
    if as_json:
        emit(plain(told))
    else:
        say(f"job {told.id} is {told.state}")
    return told
