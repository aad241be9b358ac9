"""Daemon: a real realignd on a folder of its own, which can be killed, frozen and started again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from realign_client.api import connect
from realign_client.endpoint import socket_of
from realign_client.errors import ClientError
from realign_client.plain import plain
from realign_proto.v1 import status_pb2

ANSWER_S = 1.0  # a daemon that is well answers within milliseconds; one that is frozen accepts and says nothing
LIST_S = 10.0  # it asks the others, too
STOP_S = 30.0  # a daemon drains for up to 20 s
REALIGNCTL = str(Path(sys.executable).with_name("realignctl"))
# The memory of a machine that runs tests is whatever it is, and several daemons measuring at once measure each other.
QUIET = {"REALIGN_POWER__USER_FREE_FRACTION": "0", "REALIGN_BENCHMARK__ON_START": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command of a person ended."""

    code: int
    stdout: str
    stderr: str


class Daemon:
    """One realignd. `start` after `kill` takes up the same folder."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        within: tuple[str, ...] = (),
        tag: str = "chaos",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`within` is what a command is put behind to run on this daemon's host; `settings` are for its environment."""
        self.folder = folder
        self.name = folder.name
        self.surprises: list[str] = []  # ends that nobody asked for
        self._arguments = arguments
        self._within = within
        own = {"REALIGN_NODE_NAME": self.name, "REALIGN_CLUSTER_TAG": tag}
        self._environment = {**os.environ, **QUIET, **own, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "realign_daemon.main", "--data-dir", str(self.folder), *self._arguments]
        with (self.folder / "said").open("ab") as said:
            self._process = subprocess.Popen(
                [*self._within, *command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None, "the daemon was started"
        return self._process.pid

    @property
    def port(self) -> int:
        """On which the others reach it, once it is in a cluster."""
        return int((self.folder / "port").read_text())

    @property
    def is_up(self) -> bool:
        """Whether its process is there; notes an end that nobody asked for."""
        if self._process is None:
            return False
        code = self._process.poll()
        if code is not None:
            self._process = None
            self.surprises.append(f"{self.name} ended by itself with exit code {code}: {self.last_words()}")
        return code is None

    def kill(self) -> None:
        """Power off, as far as a process can tell."""
        if self.is_up and self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Nothing of it moves until `thaw`, as on a laptop that sleeps; its children are not stopped."""
        if self.is_up:
            os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        if self.is_up:
            os.kill(self.pid, signal.SIGCONT)

    async def stop(self) -> None:
        """In good order; one that does not end is killed, and that is a surprise."""
        if not self.is_up or self._process is None:
            return
        self.thaw()
        process, self._process = self._process, None
        process.terminate()
        try:
            code = await asyncio.to_thread(process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.surprises.append(f"{self.name} did not end within {STOP_S:.0f} s of SIGTERM")
        else:
            if code:
                self.surprises.append(f"{self.name} ended with exit code {code} after SIGTERM: {self.last_words()}")

    def last_words(self) -> str:
        with suppress(OSError, IndexError):
            return (self.folder / "said").read_text().splitlines()[-1]
        return ""

    async def status(self) -> status_pb2.NodeStatus | None:
        """None while it does not answer."""
        with suppress(ClientError, TimeoutError):
            async with asyncio.timeout(ANSWER_S), connect(socket_of(self.folder)) as client:
                return await client.status()
        return None

    async def ctl(self, *arguments: str, within_s: float = 60.0) -> Done:
        """What realignctl says on this host. Exit code -1 when it had to be ended."""
        mine: Mapping[str, str] = {
            "REALIGN_ENDPOINT": socket_of(self.folder),
            "REALIGN_DATA_DIR": str(self.folder),
            "REALIGN_CLIENT_DIR": f"{self.folder}-client",
        }
        process = await asyncio.create_subprocess_exec(
            REALIGNCTL,
            *arguments,
            env={**os.environ, **mine},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(within_s):
                stdout, stderr = await process.communicate()
        except TimeoutError:
            return Done(code=-1, stdout="", stderr=f"no answer within {within_s:.0f} s")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Done(code=process.returncode or 0, stdout=stdout.decode(), stderr=stderr.decode())

    async def jobs(self) -> dict[str, dict[str, Any]]:
        """Every job that it knows of by its id, as `realignctl jobs --json` gives it; none while it does not answer."""
        with suppress(ClientError, TimeoutError):
            async with asyncio.timeout(LIST_S), connect(socket_of(self.folder)) as client:
                return {job.id: plain(job) for job in await client.jobs()}
        return {}

    def events(self, *names: str, since_bytes: int = 0) -> list[dict[str, Any]]:
        """Those of its log with one of these names, after so many bytes of it."""
        written = self.log.read_bytes()[since_bytes:] if self.log.exists() else b""
        found = [cast("dict[str, Any]", json.loads(line)) for line in written.splitlines() if line.startswith(b"{")]
        return [event for event in found if event.get("event") in names]

    @property
    def log(self) -> Path:
        return self.folder / "realignd.log"
