"""Worker child: runs registered functions one after the other, so that a crash in a parser stays here.

`python -m realign_daemon.worker.child` reads request frames `{"id", "function", "arguments"}` from stdin and writes
reply frames `{"id", "result"}` or `{"id", "error"}` to stdout. It ends with its parent: a thread watches stdin and
leaves at once when that closes, even while a function is running.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Mapping
from typing import BinaryIO, cast

from realign_daemon.engine.frames import FrameError, pack_frame, read_frame_blocking
from realign_daemon.worker.registry import FUNCTIONS, resolve

# Heartbeats and the engine go first on a busy machine; 5 of 19 still finishes work on an idle one at full speed.
NICENESS = 5


def serve(functions: Mapping[str, str]) -> None:
    """Answers requests until stdin closes, which ends the process."""
    os.nice(NICENESS)
    replies = _take_over_stdout()
    requests: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests,), name="receive", daemon=True).start()
    while True:
        reply = _reply(requests.get(), functions)
        try:
            replies.write(reply)
            replies.flush()
        except BrokenPipeError:
            os._exit(0)


def _take_over_stdout() -> BinaryIO:
    """The pipe to the parent; whatever a library prints goes to stderr from now on and cannot break a frame."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _receive(requests: queue.SimpleQueue[dict[str, object]]) -> None:
    try:
        while (request := read_frame_blocking(sys.stdin.buffer)) is not None:
            requests.put(cast("dict[str, object]", request))
    except FrameError as error:
        sys.stderr.write(f"{error}\n")
    finally:
        os._exit(0)


def _reply(request: dict[str, object], functions: Mapping[str, str]) -> bytes:
    number, name = request["id"], cast("str", request["function"])
    try:
        if name not in functions:
            return pack_frame({"id": number, "error": "no function of that name is registered"})
        result = resolve(functions[name])(**cast("dict[str, object]", request["arguments"]))
        return pack_frame({"id": number, "result": result})
    except FrameError as error:
        return pack_frame({"id": number, "error": f"its result cannot be sent ({error}): give it less"})
    except Exception as error:  # noqa: BLE001 - the boundary of one call: whatever it raised is its answer
        return pack_frame({"id": number, "error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    serve(FUNCTIONS)
