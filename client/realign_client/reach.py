"""Reach: whether something answers at an address or socket."""

from __future__ import annotations

import socket

CONNECT_TIMEOUT_S = 0.5  # for a daemon of this machine: one that takes longer is not there


def accepts(target: str) -> bool:
    """Whether something on this machine accepts connections at the target."""
    try:
        if target.startswith("unix:"):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(CONNECT_TIMEOUT_S)
                probe.connect(target.removeprefix("unix:"))
        else:
            host, _, port = target.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True
