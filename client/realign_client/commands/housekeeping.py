"""Housekeeping commands: jobs and garbage that go, and what a bug report says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from realign_client import deliveries, event_loop
from realign_client.api import connect
from realign_client.commands.node import parse_duration
from realign_client.errors import BadUsage
from realign_client.options import AsJson, Endpoint, JobId, Yes
from realign_client.plain import plain
from realign_client.render.figures import size
from realign_client.render.housekeeping import garbage_lines, removal_lines
from realign_client.render.jobs import ENDED
from realign_client.report.archive import preview_lines, write_archive
from realign_client.report.contents import gather_report
from realign_client.terminal import agreed, emit, note, say

DECLINED = 1
REPORT_NAME = "realign-report.tar.gz"


def rm(job: JobId, *, yes: Yes = False, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Remove an ended job for good, with its output folder on its home; what was fetched elsewhere stays."""

    async def run() -> None:
        async with connect(endpoint) as client:
            listed = await client.output_files(job)
            job_id = listed.job.id
            if listed.job.state not in ENDED:
                raise BadUsage(f"job {job_id} is {listed.job.state}; end it first with `realignctl cancel {job_id}`")
            lines = removal_lines(listed)
            note("\n".join(lines)) if as_json else say(lines)
            if not agreed(f"Remove {job_id} for good?", yes=yes):
                raise typer.Exit(DECLINED)
            removed = await client.remove(job_id)
            deliveries.forget(job_id)
        if as_json:
            emit(plain(removed))
        else:
            say(f"job {removed.job_id} is removed, with {removed.files} files of {size(removed.bytes)}")

    event_loop.run(run())


def gc(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would go; change nothing.")] = False,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="What is younger stays for later jobs: 30d, 12h, 0s.")
    ] = "30d",
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Remove results and files that no job refers to any more, on every node that can be reached."""
    keep_s = parse_duration(older_than)

    async def run() -> None:
        async with connect(endpoint) as client:
            garbage = await client.garbage(keep_s, is_for_real=not dry_run)
        if as_json:
            emit(plain(garbage))
        else:
            say(garbage_lines(garbage, is_for_real=not dry_run))

    event_loop.run(run())


def report(
    job: Annotated[str, typer.Argument(metavar="[JOB]", help="A job to say more of.")] = "",
    *,
    output: Annotated[str, typer.Option("--output", metavar="FILE.tar.gz", help="Where it goes.")] = REPORT_NAME,
    preview: Annotated[bool, typer.Option("--preview", help="Print what would be in it; write nothing.")] = False,
    endpoint: Endpoint = None,
) -> None:
    """Write an archive for a bug report: no documents, prompts, names, keys or addresses; also while no daemon runs."""
    files = event_loop.run(gather_report(job, endpoint))
    if preview:
        say(preview_lines(files))
        return
    target = write_archive(files, Path(output).expanduser())
    say(f"wrote {len(files)} files to {target}; look at them with --preview, and add in your own words what went wrong")
