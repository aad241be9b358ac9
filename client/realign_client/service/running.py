"""Running: the daemon that runs on a data directory, whoever started it, and how it is ended."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path

from realign_client.data_folder import is_in_use
from realign_client.endpoint import socket_of
from realign_client.errors import LocalFailure

SOCKET = "realignd.sock"
STOP_TIMEOUT_S = 30.0  # a daemon drains for up to 20 s
POLL_S = 0.1
CONNECT_TIMEOUT_S = 2.0
SOL_LOCAL, LOCAL_PEERPID = 0, 2  # macOS: sys/un.h; Python does not name them


def stop_running(folder: Path) -> None:
    """Ends the daemon that runs on the folder and waits until it has; nothing where none runs.

    Raises:
        LocalFailure: it does not end, or does not say who it is.
    """
    if not is_in_use(folder):
        return
    pid = _listener(folder)
    if pid is None:
        raise LocalFailure(f"a daemon runs on {folder} and does not answer; end it by hand, then try again")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while is_in_use(folder):
        if time.monotonic() > deadline:
            raise LocalFailure(f"the daemon on {folder} (process {pid}) has not ended; end it by hand, then try again")
        time.sleep(POLL_S)


def _listener(folder: Path) -> int | None:
    """The process that listens on the folder's socket; the system says so, so that no other one is ever signalled."""
    path = Path(socket_of(folder).removeprefix("unix:"))
    if path.name != SOCKET:  # somebody else's
        return None
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        try:
            probe.connect(str(path))
            if sys.platform == "darwin":
                pid = probe.getsockopt(SOL_LOCAL, LOCAL_PEERPID)
            else:
                (pid,) = struct.unpack_from("i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        except OSError:
            return None
    return pid or None
