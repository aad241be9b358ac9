"""Wakelock: keeps the machine from falling asleep by itself while units run. A closed lid puts a laptop to sleep still.

It is a child program, so that the operating system takes the lock back however this process ends: caffeinate watches
this process, and on Linux the program that holds the lock waits for the end of a pipe whose other end is here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Callable

import structlog

_log = structlog.get_logger()

_GRACE_S = 1.0
_RETRY_S = 600.0  # a lock that the system denied is asked for again


def lock_command(platform: str, pid: int, *, on_mains: bool, has: Callable[[str], bool]) -> tuple[str, ...]:
    """The program that keeps the machine awake until `pid` or its own standard input ends; () where there is none."""
    if platform == "darwin" and has("caffeinate"):
        # -i: no idle sleep. -s: no system sleep either, which macOS grants on the mains only.
        return ("caffeinate", "-i", *(("-s",) if on_mains else ()), "-w", str(pid))
    if platform == "linux" and has("systemd-inhibit"):
        what = ("--what=idle:sleep", "--mode=block", "--who=realignd", "--why=units of a job are being computed")
        return ("systemd-inhibit", *what, "cat")
    return ()


class Wakelock:
    """One lock, held or not. `keep` as often as anything may have changed, and `close` at the end."""

    def __init__(
        self,
        now: Callable[[], float],
        *,
        platform: str = sys.platform,
        has: Callable[[str], bool] = lambda program: shutil.which(program) is not None,
    ) -> None:
        """`now` gives continuous seconds."""
        self._now, self._platform, self._has = now, platform, has
        self._command: tuple[str, ...] = ()
        self._child: asyncio.subprocess.Process | None = None
        self._retry_at_s = float("-inf")

    @property
    def is_held(self) -> bool:
        """Whether the machine is kept awake now."""
        return self._child is not None and self._child.returncode is None

    async def keep(self, *, awake: bool, on_mains: bool) -> None:
        """Holds the lock exactly while `awake`. A system that denies it is no error: then the machine may sleep."""
        if not awake:
            await self.close()
            return
        if self._child is not None and self._child.returncode is not None:
            self._child = None
            self._retry_at_s = self._now() + _RETRY_S
            _log.warning("wakelock.denied", program=self._command[0], retry_s=_RETRY_S)
        command = lock_command(self._platform, os.getpid(), on_mains=on_mains, has=self._has)
        if command != self._command:
            await self.close()
        if command and self._child is None and self._now() >= self._retry_at_s:
            await self._take(command)

    async def close(self) -> None:
        """Lets go."""
        child, self._child, self._command = self._child, None, ()
        if child is None or child.returncode is not None:
            return
        assert child.stdin is not None, "it was started with a pipe"
        child.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        ending = asyncio.ensure_future(child.wait())
        await asyncio.wait({ending}, timeout=_GRACE_S)
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await ending

    async def _take(self, command: tuple[str, ...]) -> None:
        try:
            self._child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C in the daemon's terminal is for the daemon to act on
            )
        except OSError as error:
            self._retry_at_s = self._now() + _RETRY_S
            _log.warning("wakelock.unavailable", program=command[0], reason=str(error))
            return
        self._command = command
