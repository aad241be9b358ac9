"""Math child: the process that compares formulas, for an owner who kills it at the deadline (see math_pool.py).

Reads lines of JSON `{"answer", "gold", "timeout_s"}` and writes one line with the result for each; the first line it
writes says that it is ready. It ends with its owner, whose pipe then closes, or at the latest when its processor time
for one check is used up.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import sys

MEMORY_BYTES = 1536 * 1024 * 1024  # sympy needs some 100 MB; macOS takes the limit without keeping to it
_GRACE_S = 2  # the owner's deadline comes first
READY = b"ready\n"


def main() -> None:
    """Answers until stdin ends."""
    for kind, limit in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))
    replies = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is no reply
    from realign_daemon.curation.verify.math_compare import check

    os.write(replies, READY)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        used_s = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        soft, hard = math.ceil(used_s + request["timeout_s"] + _GRACE_S), resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
        try:
            result = check(request["answer"], request["gold"])
        except Exception:  # noqa: BLE001 - whatever sympy raised, this check has failed and the next one is another
            result = "verifier_error"
        os.write(replies, f"{result}\n".encode())


if __name__ == "__main__":
    main()
