"""Native words: what libraries in C write to the standard error goes to a file of its own, Python's stays where it was.

gRPC tells nobody in another way why a handshake failed; see rpc.handshakes. A file, and no pipe: what a library says as
it takes the process down is still there afterwards.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

NATIVE_LOG = "grpc.log"
STDERR = 2


@contextmanager
def native_words_in(file: Path) -> Generator[None]:
    """Holds until it is left. To be entered before anything keeps `sys.stderr`."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    before, saved = sys.stderr, os.dup(STDERR)
    native = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(native, STDERR)
    os.close(native)
    with os.fdopen(saved, "w", buffering=1, errors="backslashreplace") as stream:
        sys.stderr = stream
        try:
            yield
        finally:
            os.dup2(saved, STDERR)
            sys.stderr = before
