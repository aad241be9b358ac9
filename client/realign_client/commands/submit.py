"""Submit command: a request and its sources become a job, which is then followed to its end."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from realign_client import deliveries, event_loop, options
from realign_client.api import Client, connect
from realign_client.commands.jobs import default_folder, finish
from realign_client.errors import INTERRUPTED, Ambiguous, BadUsage, NoCluster
from realign_client.job_file import JobFile, gather
from realign_client.local import embedded_daemon
from realign_client.outputs import check_folder
from realign_client.render.pilot import pilot_lines
from realign_client.render.plan import plan_lines
from realign_client.render.upload import progress_meter
from realign_client.sources import SourceFile
from realign_client.terminal import emit, is_interactive, note, say
from realign_client.watching import Style, follow, style_for
from realign_client.wish import Wish, wish_of
from realign_planner.data_types import DATA_TYPES, TITLES
from realign_planner.intent import detect
from realign_proto.v1 import curation_pb2 as pb

DECLINED = 1
Pilot = Literal["go_on", "ask", "only"]  # what follows the pilot


@dataclass(slots=True, kw_only=True)
class Submission:
    """What is to be submitted and what happens around it; the job's id once it has one."""

    request: pb.JobRequest
    files: tuple[SourceFile, ...]  # all that the request announces and this machine has
    output: str | None
    waits: bool
    asks: bool
    pilot: Pilot
    local: bool
    as_json: bool
    style: Style
    job_id: str | None = None


def submit(
    request: options.Request = None,
    *,
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
    output: options.Output = None,
    watch: Annotated[
        bool | None, typer.Option("--watch/--detach", help="Follow the job to its end, or leave once it is taken.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; take the likeliest type of data.")] = False,
    pilot_only: Annotated[
        bool, typer.Option("--pilot-only", help="Try about twenty items, show what came of them, and wait.")
    ] = False,
    local: Annotated[bool, typer.Option("--local", help="Run this one job here, with a daemon of its own.")] = False,
    endpoint: options.Endpoint = None,
    as_json: options.AsJson = False,
) -> None:
    """Turn documents into training data: submit a job, and follow it to its end. Ctrl-C leaves the job running."""
    given = wish_of(locals())
    if watch is False and (local or pilot_only):
        one = "--local ends its daemon with the command" if local else "--pilot-only waits for the pilot"
        raise BadUsage(f"{one}, so it cannot --detach; leave one of them out")
    asked = gather(given, spec)
    waits = local or pilot_only or (watch if watch is not None else output is not None or not as_json)
    asks = is_interactive() and not (yes or as_json)
    pilot: Pilot = "only" if pilot_only else "ask" if asks and waits else "go_on"
    # `--json` promises one document, the job's id or its pilot; who says `--watch` gets the events behind the id.
    style: Style = style_for(as_json=as_json) if (watch and not pilot_only) or not as_json else "silent"
    submission = _prepare(
        asked, output=output, yes=yes, waits=waits, asks=asks, pilot=pilot, local=local, as_json=as_json, style=style
    )
    try:
        code = event_loop.run(_run(submission, endpoint))
    except KeyboardInterrupt:
        note(_farewell(submission))
        code = INTERRUPTED
    raise typer.Exit(code)


def _prepare(
    asked: JobFile,
    *,
    output: str | None,
    yes: bool,
    waits: bool,
    asks: bool,
    pilot: Pilot,
    local: bool,
    as_json: bool,
    style: Style,
) -> Submission:
    """Everything that can be refused before a daemon is asked."""
    wish = asked.wish.checked()
    if output is not None:
        check_folder(Path(output))
    sources = wish.source_files() if wish.sources or not asked.spec_json else ()
    data, eval_sets = wish.data_file(), wish.eval_files()
    wish = _with_data_type(wish, asks=asks, yes=yes)
    message = wish.message(assume_yes=yes, output_hint=Path(output).name if output else "", pilot=pilot)
    message.spec_json = asked.spec_json
    message.sources.extend([source.announcement() for source in sources] or asked.known_sources)
    message.eval_sets.extend(source.announcement() for source in eval_sets)
    if data is not None:
        message.data.CopyFrom(data.announcement())
    return Submission(
        request=message,
        files=(*sources, *eval_sets, *((data,) if data else ())),
        output=output,
        waits=waits,
        asks=asks,
        pilot=pilot,
        local=local,
        as_json=as_json,
        style=style,
    )


def _with_data_type(wish: Wish, *, asks: bool, yes: bool) -> Wish:
    """The wish, its type of data asked for where the request does not say it clearly.

    Raises:
        Ambiguous: it does not, and there is nobody to ask.
    """
    if wish.data_type or yes or not (intent := detect(wish.request)).is_ambiguous:
        return wish
    likeliest = f"{TITLES[intent.data_type]} is the likeliest, at {intent.confidence:.0%}"
    if not asks:
        raise Ambiguous(
            f"the request does not say clearly which data to make ({likeliest}); say --type, or accept that with --yes"
        )
    say(f"The request does not say clearly which data to make; {likeliest}.")
    while (answer := typer.prompt(f"Which one ({', '.join(DATA_TYPES)})", default=intent.data_type)) not in DATA_TYPES:
        say(f"{answer!r} is none of them.")
    return replace(wish, data_type=answer)


async def _run(submission: Submission, endpoint: str | None) -> int:
    with embedded_daemon() if submission.local else nullcontext(endpoint) as address:
        try:
            async with connect(address) as client:
                if submission.asks and not await _is_wanted(client, submission):
                    say("nothing was submitted")
                    return DECLINED
                reply = await client.submit(submission.request, submission.files, progress=progress_meter())
                submission.job_id = reply.job_id
                if submission.output is not None and not submission.local:
                    deliveries.promise(reply.job_id, Path(submission.output))
                _report(reply, submission)
                return await _follow(client, submission, reply.job_id) if submission.waits else 0
        except NoCluster as error:
            if submission.job_id is not None or submission.local:
                raise
            raise NoCluster(f"{error}, or add --local to run this one job here") from error


async def _is_wanted(client: Client, submission: Submission) -> bool:
    """Shows the plan; whether to go on with it, which is asked later where a pilot comes first."""
    planned = await client.plan(submission.request)
    say(plan_lines(json.loads(planned.plan_json)))
    return planned.fits and (submission.pilot == "ask" or typer.confirm("Submit this job?", default=True))


def _report(reply: pb.SubmitReply, submission: Submission) -> None:
    if not submission.as_json:
        say(f"job {reply.job_id}")
    elif submission.pilot != "only":
        emit({"job_id": reply.job_id})
    for warning in reply.warnings:
        note(f"warning: {warning}")
    if not submission.waits and not submission.as_json:
        say(f"follow it with: realignctl watch {reply.job_id}")
        if submission.output:
            say(f"fetch it with: realignctl fetch {reply.job_id} --output {submission.output}")


async def _follow(client: Client, submission: Submission, job_id: str) -> int:
    ended = await follow(client.watch(job_id), submission.style)
    if ended.state == "paused":  # after the pilot: otherwise it would have been followed on
        pilot = json.loads(ended.pilot_json)
        if submission.as_json:
            emit({"job_id": job_id, "pilot": pilot})
        else:
            say(pilot_lines(pilot))
        if submission.pilot == "only":
            note(f"run the whole job with: realignctl resume {job_id}")
            return 0
        try:
            goes_on = typer.confirm("Run the whole job?", default=True)
        except typer.Abort:  # Ctrl-C at the question
            note(_farewell(submission))
            return INTERRUPTED
        if not goes_on:
            await client.cancel(job_id)
            say(f"job {job_id} is cancelled")
            return DECLINED
        await client.resume(job_id)
        submission.pilot = "go_on"
        ended = await follow(client.watch(job_id), submission.style)
    elif submission.as_json and submission.pilot == "only":  # it ended in its pilot
        emit({"job_id": job_id, "pilot": json.loads(ended.pilot_json or "null")})
    output = submission.output
    if submission.local and output is None:
        output = str(default_folder(ended))  # the daemon that could be asked later is about to end
    return await finish(client, ended, output=output, as_json=submission.as_json)


def _farewell(submission: Submission) -> str:
    if submission.job_id is None:
        return "interrupted before a job was confirmed; `realignctl jobs` says whether there is one"
    if submission.local:
        return "the job ended with its daemon; what it made is reused when you submit it again with --local"
    if submission.pilot != "go_on":
        return f"the job waits after its pilot; run the whole of it with: realignctl resume {submission.job_id}"
    return f"the job goes on; realignctl watch {submission.job_id}"
