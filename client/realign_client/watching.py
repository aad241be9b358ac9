"""Watching: a job followed to its end, shown live on a terminal, line by line elsewhere, or as JSON lines."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Literal

from realign_client.errors import NoCluster
from realign_client.plain import plain
from realign_client.render.figures import duration, rate
from realign_client.render.jobs import job_lines, stage_now
from realign_client.terminal import emit, is_interactive, printable, say
from realign_proto.v1 import curation_pb2 as pb

PROGRESS_S = 2.0  # a log wants to see that a job moves, not each of its thousand units
Style = Literal["live", "lines", "json", "silent"]


def style_for(*, as_json: bool) -> Style:
    """How to show a job to whoever reads stdout."""
    if as_json:
        return "json"
    return "live" if is_interactive() else "lines"


async def follow(events: AsyncIterator[pb.JobEvent], style: Style) -> pb.Job:
    """Shows the events until there are no more, or a pilot waits for a word; the job as it was in the last one.

    A job that somebody has paused is followed on; the first event says how it is resumed.

    Raises:
        NoCluster: the daemon ended the stream without saying anything.
    """
    events = _until_a_word_is_needed(events)
    match style:
        case "live":
            return await _follow_live(events)
        case "lines":
            return await _follow_in_lines(events)
        case "json" | "silent":
            job: pb.Job | None = None
            async for event in events:
                job = event.job
                if style == "json":
                    emit(plain(event))
            return _ended(job)


def event_line(event: pb.JobEvent) -> str:
    """The event on one line: what it says, or for progress the stage, its units, the speed and the time left."""
    if event.text:
        return event.text
    job = event.job
    stage = next((stage for stage in job.stages if stage.state == "running"), None)
    units = f" {stage.units.done}/{stage.units.total}" if stage else ""
    doing = f" ({stage.activity})" if stage and stage.activity else ""
    left = f", about {duration(job.eta_s)} left" if job.HasField("eta_s") else ""
    nodes = "".join(f", {node.name} {rate(node.examples_per_s)}" for node in job.nodes)
    return f"{job.id} {job.state}: {stage_now(job)}{units}{doing}{left}{nodes}"


async def _follow_in_lines(events: AsyncIterator[pb.JobEvent]) -> pb.Job:
    """Every event that says something, and between them the progress, at most once in PROGRESS_S."""
    job: pb.Job | None = None
    shown_s = -PROGRESS_S
    async for event in events:
        job = event.job
        if event.text or time.monotonic() - shown_s >= PROGRESS_S:
            say(event_line(event))
            shown_s = time.monotonic()
    return _ended(job)


async def _follow_live(events: AsyncIterator[pb.JobEvent]) -> pb.Job:
    from rich.live import Live
    from rich.text import Text

    job: pb.Job | None = None
    with Live(auto_refresh=False) as live:
        async for event in events:
            job = event.job
            if event.text:
                live.console.print(Text(printable(event.text)))
            live.update(Text("\n".join(printable(line) for line in job_lines(job))), refresh=True)
    return _ended(job)


async def _until_a_word_is_needed(events: AsyncIterator[pb.JobEvent]) -> AsyncIterator[pb.JobEvent]:
    async for event in events:
        job = event.job
        if job.state == "paused" and job.paused_by != "pilot" and event.kind == "snapshot":
            event.text = job.error or f"{job.id} is paused; resume it with: realignctl resume {job.id}"
        yield event
        if job.state == "paused" and job.paused_by == "pilot":
            return


def _ended(job: pb.Job | None) -> pb.Job:
    if job is None:
        raise NoCluster("the daemon says nothing about this job; look at `realignctl jobs`")
    return job
