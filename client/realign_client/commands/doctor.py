"""Doctor: names what keeps a machine from RDMA or from its cluster, and what to do. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from realign_client import event_loop
from realign_client.doctor.asking import ask_machine
from realign_client.doctor.recording import read_peers, read_recording, write_recording
from realign_client.errors import BadUsage
from realign_client.options import AsJson, Endpoint
from realign_client.render.doctor import diagnosis_lines, document_of
from realign_client.terminal import emit, note, say
from realign_planner.diagnosis.diagnosis import Diagnosis, diagnose
from realign_planner.diagnosis.situation import read_situation


def doctor(
    *,
    recorded: Annotated[
        str, typer.Option("--recorded", metavar="FOLDER", help="Look at what --record wrote, not at this machine.")
    ] = "",
    record: Annotated[
        str, typer.Option("--record", metavar="FOLDER", help="Keep what this machine said, without names of users.")
    ] = "",
    peer: Annotated[
        list[str] | None,
        typer.Option("--peer", metavar="FOLDER", help="What --record wrote on another node, to compare. Repeatable."),
    ] = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Find out what keeps this machine from RDMA or from its cluster; changes nothing. Exit codes: docs/doctor.md."""
    diagnosis = event_loop.run(_examine(recorded, record, peer or [], endpoint))
    if as_json:
        emit(document_of(diagnosis))
    else:
        say(diagnosis_lines(diagnosis))
    raise typer.Exit(diagnosis.exit_code)


async def _examine(recorded: str, record: str, peers: list[str], endpoint: str | None) -> Diagnosis:
    others = {name: read_recording(folder) for name, folder in _named(peers).items()}
    if recorded and record:
        raise BadUsage("--recorded looks at a recording and --record makes one; give one of the two")
    if recorded:
        folder = Path(recorded).expanduser()
        return diagnose(read_situation(read_recording(folder), {**read_peers(folder), **others}))
    answers = await ask_machine(endpoint)
    if record:
        write_recording(answers, Path(record).expanduser())
        note(f"wrote {len(answers)} answers to {record}")
    return diagnose(read_situation(answers, others))


def _named(folders: Iterable[str]) -> Mapping[str, Path]:
    """The folders by their own names; by their whole paths where two have the same."""
    paths = [Path(folder).expanduser().absolute() for folder in folders]
    names = Counter(path.name for path in paths)
    return {path.name if names[path.name] == 1 else str(path): path for path in paths}
