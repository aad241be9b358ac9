"""Upload as it is shown: how much of the files is there, once that takes long enough for somebody to wonder."""

from __future__ import annotations

import sys
import time

from realign_client.render.figures import size
from realign_client.terminal import note
from realign_client.uploads import Progress

SHOWN_BYTES = 16_000_000  # less is there within seconds on any network
TERMINAL_S = 0.2
LOG_S = 10.0


def progress_meter() -> Progress:
    """What notes the progress of one upload on stderr: a line that changes on a terminal, one every 10 s elsewhere."""
    shown_s, is_open = time.monotonic(), False

    def show(there: int, total: int) -> None:
        nonlocal shown_s, is_open
        on_terminal = sys.stderr.isatty()
        is_due = time.monotonic() - shown_s >= (TERMINAL_S if on_terminal else LOG_S)
        if total < SHOWN_BYTES or not (is_due or (is_open and there == total)):
            return
        shown_s = time.monotonic()
        text = f"sending {size(total)}: {100 * there // total} %"
        if not on_terminal:
            note(text)
            return
        is_open = there < total
        sys.stderr.write(f"\r{text}" + ("" if is_open else "\n"))
        sys.stderr.flush()

    return show
