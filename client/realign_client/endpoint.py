"""Endpoint: where a daemon answers, as gRPC dials it, and how one is found when nobody names it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from realign_client.errors import BadUsage, NoCluster
from realign_client.reach import accepts

ENDPOINT_VARIABLE = "REALIGN_ENDPOINT"
DATA_DIR_VARIABLE = "REALIGN_DATA_DIR"
HIGHEST_PORT = 65535
MOST_TRIED = 4  # of the addresses that are known of a cluster: each that is gone takes half a second


def data_dir() -> Path:
    """The data directory of this user's daemon."""
    return Path(os.environ.get(DATA_DIR_VARIABLE) or Path.home() / ".realign").expanduser().absolute()


def parse_endpoint(text: str) -> str:
    """The gRPC target for what a person writes: HOST:PORT, unix:PATH or the path of a socket.

    Raises:
        BadUsage: it is none of these.
    """
    text = text.strip()
    if text.startswith("unix:"):
        return text
    if "/" in text:
        return f"unix:{Path(text).expanduser().absolute()}"
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) <= HIGHEST_PORT):
        raise BadUsage(f"{text!r} is no endpoint; write HOST:PORT or the path of a socket")
    return text


def find_endpoint(named: str | None = None) -> str:
    """The target to dial: the one named, else in the environment, else this user's daemon, else one of the cluster.

    A named one is not tried here. Others count when something accepts a connection there, so that the socket of a
    daemon that was killed is passed over. Of the cluster that this client has joined the nodes are tried where they
    were last known; then the network is browsed for two seconds at most, for that cluster or else for a daemon of this
    user that is in none.

    Raises:
        BadUsage: the name is no endpoint.
        NoCluster: nothing answers.
    """
    named = named or os.environ.get(ENDPOINT_VARIABLE)
    if named:
        return parse_endpoint(named)
    if nearest := local_endpoint():
        return nearest
    from realign_client.bonjour import browse, own_marks
    from realign_client.credentials import load_credentials

    credentials = load_credentials()
    for candidate in credentials.addresses[:MOST_TRIED] if credentials else ():
        if accepts(candidate):
            return candidate
    if found := browse(credentials.marks if credentials else own_marks()):
        return found
    raise NoCluster(
        f"no daemon answers in {data_dir()} and none was found on the network; start one with "
        "`realignctl daemon start` or `realignd`, or name one with --endpoint HOST:PORT"
    )


def local_endpoint() -> str | None:
    """The target of this user's daemon on this machine; None when nothing accepts a connection there."""
    return next((candidate for candidate in _local(data_dir()) if accepts(candidate)), None)


def socket_of(folder: Path) -> str:
    """The socket of the daemon that runs on a data directory.

    A socket's path holds about a hundred bytes; below a deep folder the daemon puts it elsewhere and says where.
    """
    return parse_endpoint(_first_line(folder / "socket") or str(folder / "realignd.sock"))


def _local(folder: Path) -> Iterator[str]:
    """Where this user's daemon may listen, nearest first."""
    yield socket_of(folder)
    if address := _first_line(folder / "endpoint"):
        yield parse_endpoint(address)


def _first_line(path: Path) -> str | None:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return lines[0].strip() if lines and lines[0].strip() else None
