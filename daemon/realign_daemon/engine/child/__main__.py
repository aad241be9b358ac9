"""The engine child: `python -m realign_daemon.engine.child OPTIONS`, started by the supervisor and by nobody else.

OPTIONS is a JSON object: blas_cache (a folder), duty_fraction, max_batch_size. Requests come on stdin, replies go to
what was stdout; everything that any library prints goes to stderr.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback
from pathlib import Path

from realign_daemon.engine.blas import build_shim, load_shim


def main() -> None:
    """Serves until stdin ends; then, and after a crash, the process ends without Python's own clean-up.

    MLX's threads made an orderly interpreter exit abort now and then, so an exit code after one would say nothing.
    """
    faulthandler.enable()
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    options = json.loads(sys.argv[1])
    code = os.EX_SOFTWARE
    try:
        shim = build_shim(Path(options["blas_cache"]))
        if shim is not None:
            load_shim(shim)  # before mlx is imported
        from realign_daemon.engine.child.inbox import Inbox
        from realign_daemon.engine.child.loop import Loop  # imports mlx
        from realign_daemon.engine.child.outbox import Outbox

        Loop(
            Inbox(sys.stdin.buffer),
            Outbox(replies),
            duty_fraction=options["duty_fraction"],
            max_batch_size=options["max_batch_size"],
        ).run()
    except BrokenPipeError:
        code = os.EX_OK  # the daemon has gone
    except Exception:  # noqa: BLE001 - the boundary of the process: the daemon reads this on stderr
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
