"""Local: an embedded daemon of one node, for one job, when there is no cluster to take it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from realign_client.daemon_process import DaemonProcess, require_node_install
from realign_client.endpoint import data_dir
from realign_client.terminal import note

FOLDER = "local"  # below the data directory: results are kept, so that the next job over the same sources reuses them


@contextmanager
def embedded_daemon() -> Generator[str]:
    """The socket of a daemon that lives as long as the context.

    Raises:
        LocalFailure: only the client is installed, or the daemon does not start.
    """
    require_node_install()
    with DaemonProcess(data_dir() / FOLDER, "--no-discovery", "--listen", "127.0.0.1:0") as daemon:
        note("starting a daemon for this job")
        daemon.wait_until_ready()
        yield daemon.socket
