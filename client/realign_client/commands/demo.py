"""Demo command: the throw-away cluster, shown to a person or as one JSON document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from realign_client import event_loop
from realign_client.demo import run_demo
from realign_client.errors import INTERRUPTED
from realign_client.options import AsJson
from realign_client.plain import plain, plain_status
from realign_client.render.summary import summary_lines
from realign_client.terminal import emit, note, say
from realign_client.watching import style_for


def demo(
    *,
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="Folder for the files.")] = "demo-output",
    as_json: AsJson = False,
) -> None:
    """Run the example job on a throw-away cluster of two nodes on this machine; needs no network and no model."""
    folder = Path(output).expanduser()
    style = "silent" if as_json else style_for(as_json=False)
    try:
        result = event_loop.run(run_demo(folder, tell=note if as_json else say, style=style))
    except KeyboardInterrupt:
        note("interrupted; both nodes are ended and their folders removed")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        status = plain_status(result.status)
        emit(
            {
                "leader": status["leader"],
                "nodes": status["members"],
                "plan": json.loads(result.plan_json),
                "job": plain(result.job),
                "output": str(folder.absolute()),
                "files": [str(file) for file in result.files],
            }
        )
    else:
        say(summary_lines(result.job))
        say(f"{len(result.files)} files in {folder}; both nodes are ended and their folders removed")
    raise typer.Exit(result.job.exit_code)
