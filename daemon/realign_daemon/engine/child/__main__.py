"""The engine child: `python -m realign_daemon.engine.child OPTIONS`, started by the daemon and by nobody else.

OPTIONS is a JSON object: blas_cache (a folder), duty_fraction, max_batch_size, rank (null, or its place in a group).
Requests come on stdin, replies go to what was stdout; everything that any library prints goes to stderr.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from realign_daemon.engine.blas import build_shim, load_shim
from realign_daemon.engine.child.formation import NoGroup, form, prepare
from realign_daemon.engine.ranks import read_rank


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
        _serve(options, replies)
    except BrokenPipeError:
        code = os.EX_OK  # the daemon has gone
    except NoGroup as error:
        code = os.EX_UNAVAILABLE
        sys.stderr.write(f"{error}\n")
    except Exception:  # noqa: BLE001 - the boundary of the process: the daemon reads this on stderr
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _serve(options: dict[str, Any], replies: BinaryIO) -> None:
    rank = None if options["rank"] is None else read_rank(options["rank"])
    if rank is not None:
        prepare(rank, os.environ)
    from realign_daemon.engine.child.following import SharedInbox  # from here on mlx is imported
    from realign_daemon.engine.child.inbox import Inbox
    from realign_daemon.engine.child.loop import Loop
    from realign_daemon.engine.child.outbox import Outbox
    from realign_daemon.engine.child.peers import Peers

    inbox = own = Inbox(sys.stdin.buffer)
    outbox = Outbox(replies, follows=rank is not None and rank.rank > 0)
    peers = Peers()
    if rank is not None:
        peers = Peers(rank, form(rank, own, outbox))
        inbox = SharedInbox(own, peers, outbox.went_round)
        outbox.formed()
    loop = Loop(
        inbox,
        outbox,
        peers,
        folder=rank and rank.folder,
        duty_fraction=options["duty_fraction"],
        max_batch_size=options["max_batch_size"],
    )
    try:
        loop.run()
    except RuntimeError as error:
        if rank is not None and str(error).startswith(f"[{rank.plan.backend}]"):
            raise NoGroup(rank, f"it lost a peer ({error}); form another group") from error
        raise


if __name__ == "__main__":
    main()
