"""mlx_lm.server with the pocket model, in a process of its own on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from realign_daemon.engine.models import POCKET_FOLDER
from realign_daemon.groups.addresses import free_port

READY_S = 60.0


@contextmanager
def mlx_server(folder: Path) -> Generator[str]:
    """Its URL, once it answers; `folder` takes what it says."""
    port = free_port("127.0.0.1")
    command = [sys.executable, "-m", "mlx_lm", "server", "--model", str(POCKET_FOLDER), "--port", str(port)]
    with (folder / "mlx_server.log").open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=said, env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub")}
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + READY_S
    while time.monotonic() < ends_at:
        assert process.poll() is None, "mlx_lm.server ended"
        try:
            with urllib.request.urlopen(url, timeout=1.0):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("mlx_lm.server does not answer")
