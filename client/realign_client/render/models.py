"""Models for a person: what lies where, and how far one that is fetched has come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from realign_client.render.figures import duration, size
from realign_client.render.table import table
from realign_client.terminal import note, printable
from realign_proto.v1 import models_pb2 as pb

TERMINAL_S = 0.2
LOG_S = 10.0
COMMIT_SHOWN = 8


def models_lines(found: pb.ModelList) -> list[str]:
    """One line for each model on each node, and what could not be asked."""
    rows = [
        (
            model.name,
            model.node,
            size(model.size_bytes),
            str(model.bits),
            model.revision[:COMMIT_SHOWN] or "-",
            ", ".join(model.used_by) or "-",
            model.path,
        )
        for model in found.models
    ]
    lines = (
        table(("MODEL", "NODE", "SIZE", "BITS", "REVISION", "USED BY", "FOLDER"), rows, right=(2, 3)) if rows else []
    )
    return [*lines, *found.remarks]


def arrival_line(name: str, arrived: pb.ModelArrived) -> str:
    """How far the model has come, from where, and how long the rest takes."""
    if not arrived.source:
        return f"{arrived.node} fetches another model before {name}"
    if not arrived.bytes_total:
        return f"{arrived.node} asks {arrived.source} for {name}"
    share = 100 * arrived.bytes_done // arrived.bytes_total
    done = f"{size(arrived.bytes_done)} of {size(arrived.bytes_total)}, {share} %"
    pace = ""
    if arrived.bytes_per_s > 0:
        left_s = max(0, arrived.bytes_total - arrived.bytes_done) / arrived.bytes_per_s
        pace = f", {size(arrived.bytes_per_s)}/s, about {duration(left_s)} left"
    return f"{arrived.node} gets {name} from {arrived.source}: {done}{pace}"


def arrival_meter(name: str) -> Callable[[pb.ModelArrived], None]:
    """What notes a pull on stderr: a line that changes on a terminal, one every 10 s elsewhere."""
    shown_s, width = float("-inf"), 0

    def show(arrived: pb.ModelArrived) -> None:
        nonlocal shown_s, width
        on_terminal = sys.stderr.isatty()
        if arrived.HasField("model"):
            if width:
                sys.stderr.write("\n")
            return
        if time.monotonic() - shown_s < (TERMINAL_S if on_terminal else LOG_S):
            return
        shown_s = time.monotonic()
        line = printable(arrival_line(name, arrived))
        if not on_terminal:
            note(line)
            return
        sys.stderr.write(f"\r{line.ljust(width)}")
        sys.stderr.flush()
        width = len(line)

    return show
