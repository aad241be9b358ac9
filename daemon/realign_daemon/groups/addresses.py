"""Addresses: where a rank of a ring listens. A ring speaks IPv4 only."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from contextlib import closing

_ANY_PORT = 9  # nothing is sent to it
_PORTS = range(1024, 65536)  # that a process without privileges listens on
_OWN_PORTS = range(20_000, 32_768)  # below those that connections go out from: Linux 32768 and up, macOS 49152 and up
_TRIES = 64


def free_port(host: str) -> int:
    """A port of this machine's address, free just now; no connection that goes out takes it. Raises OSError."""
    tries = _TRIES
    while True:
        tries -= 1
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as listener:
            try:
                listener.bind((host, port := secrets.choice(_OWN_PORTS)))
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not tries:
                    raise
            else:
                return port


def port_facing(host: str) -> str:
    """An "ipv4:port" by which that host reaches this machine, free just now. Raises OSError with a sentence.

    Somebody may take the port before the rank listens there: then the group cannot be formed, and is tried once more.
    """
    try:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
            probe.connect((host, _ANY_PORT))
            own = str(probe.getsockname()[0])
        return f"{own}:{free_port(own)}"
    except OSError as error:
        message = f"it has no IPv4 address that reaches {host or 'the head'} ({error}): a ring needs one on each node"
        raise OSError(message) from error


def host_of(address: str) -> str:
    """The host in "ipv4:port"."""
    return address.rpartition(":")[0]


async def is_at(address: str, host: str) -> bool:
    """Whether an "ipv4:port" is one of this host, which may be a name, and a port that a rank may have."""
    port = address.rpartition(":")[2]
    if not (host and port.isdecimal() and int(port) in _PORTS):
        return False
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET)
    except OSError:
        return False
    return host_of(address) in {place[0] for *_, place in found}
