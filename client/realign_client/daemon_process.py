"""Daemon process: a realignd that this client starts for itself and ends again."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from realign_client.endpoint import socket_of
from realign_client.errors import LocalFailure
from realign_client.reach import accepts

READY_TIMEOUT_S = 60.0  # a cold start imports from disk; measured below 3 s on a busy two-core machine
STOP_TIMEOUT_S = 25.0  # a daemon drains for up to 20 s
POLL_S = 0.05
LAST_WORDS = 15  # lines of a log that explain an end


def require_node_install() -> None:
    """Raises LocalFailure where only the client is installed: a daemon needs more than that."""
    if any(importlib.util.find_spec(name) is None for name in ("realign_daemon", "structlog", "mlx_lm")):
        raise LocalFailure(
            "only the client is installed here, which cannot run a daemon; install realign-cluster[node]"
        )


class DaemonProcess:
    """A running daemon as a context: started on entry, asked to end on exit, killed when it does not."""

    def __init__(self, data_dir: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self._said = data_dir / "realignd.out"
        self._arguments = arguments
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._earlier_ns: int | None = None

    def __enter__(self) -> Self:
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._earlier_ns = self._written_ns()
        command = [sys.executable, "-m", "realign_daemon.main", "--data-dir", str(self.data_dir), *self._arguments]
        with self._said.open("wb") as said:
            # Its own session: Ctrl-C reaches this client alone, which then ends the daemon in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Asks it to end, and kills it when it does not. Nothing when it has ended."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_until_ready(self) -> str:
        """The address at which it answers.

        Raises:
            LocalFailure: it ended, or does not answer in time; the text ends with the last lines of its log.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise LocalFailure(f"the daemon in {self.data_dir} ended while it started:\n{self.last_words()}")
            # A file of an earlier run names a port that may be somebody else's by now.
            if self._written_ns() != self._earlier_ns and accepts(address := self._endpoint.read_text("utf-8").strip()):
                return address
            time.sleep(POLL_S)
        raise LocalFailure(
            f"the daemon in {self.data_dir} did not answer within {READY_TIMEOUT_S:.0f} s:\n{self.last_words()}"
        )

    @property
    def socket(self) -> str:
        """How this client reaches it, whatever cluster this client belongs to. Once it is ready."""
        return socket_of(self.data_dir)

    def last_words(self) -> str:
        """The last lines of its log, and of what it said outside of it."""
        lines: list[str] = []
        for file in (self.data_dir / "realignd.log", self._said):
            with suppress(OSError):
                lines += file.read_text("utf-8", errors="replace").splitlines()[-LAST_WORDS:]
        return "\n".join(lines)

    @property
    def _endpoint(self) -> Path:
        return self.data_dir / "endpoint"

    def _written_ns(self) -> int | None:
        try:
            return self._endpoint.stat().st_mtime_ns
        except OSError:
            return None
