"""Worker: one child process for parsing and heavy computation, started when needed and replaced when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections import deque
from collections.abc import Sequence
from typing import cast

import structlog

from realign_daemon.engine.frames import FrameError, pack_frame, read_frame
from realign_daemon.worker.errors import WorkerDied, WorkerRefused, WorkerTimeout

log = structlog.get_logger()

COMMAND = (sys.executable, "-m", "realign_daemon.worker.child")
LAST_WORDS_LINES = 5
# numpy and scipy would start a thread per core and fight the engine for them.
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")


class Worker:
    """Runs registered functions (see worker/registry.py) in a child process, one at a time in the order asked.

    A crash, a hang or a kill of the child costs the call that was running and nothing else. Call `close` at the end.
    """

    def __init__(self, *, command: Sequence[str] = COMMAND) -> None:
        """`command` starts the child; nothing is started before the first call."""
        self._command = tuple(command)
        self._child: asyncio.subprocess.Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS_LINES)
        self._turn = asyncio.Lock()
        self._numbers = itertools.count()

    @property
    def pid(self) -> int | None:
        """The process id of the child; None while there is none."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    async def call(self, function: str, arguments: dict[str, object], *, timeout_s: float) -> object:
        """What the function returned. The deadline starts when the call's turn comes and covers a child's start.

        Raises:
            WorkerDied: the child ended under the call.
            WorkerTimeout: the deadline passed; the child was killed.
            WorkerRefused: the function raised, or has no such name; or what it was to be given or gave cannot be sent.
        """
        number = next(self._numbers)
        try:
            frame = pack_frame({"id": number, "function": function, "arguments": arguments})
        except FrameError as error:
            raise WorkerRefused(
                function=function, reason=f"its input cannot be sent ({error}): give it less"
            ) from error
        async with self._turn:
            try:
                async with asyncio.timeout(timeout_s):
                    reply = await self._exchange(function, number, frame)
            except TimeoutError as error:
                log.warning("worker.timeout", function=function, timeout_s=timeout_s)
                raise WorkerTimeout(function=function, timeout_s=timeout_s) from error
        if "error" in reply:
            raise WorkerRefused(function=function, reason=cast("str", reply["error"]))
        return reply["result"]

    async def close(self) -> None:
        """Ends the child. A call in flight raises WorkerDied; a later call starts a new child."""
        await self._end()

    async def _exchange(self, function: str, number: int, frame: bytes) -> dict[str, object]:
        answered = False
        try:
            child, stdin, stdout = await self._running()
            with contextlib.suppress(ConnectionError):  # its end shows in the read below, with a cause
                stdin.write(frame)
                await stdin.drain()
            try:
                reply = await read_frame(stdout)
            except FrameError as error:
                raise await self._died(function, child, said=str(error)) from error
            if reply is None:
                raise await self._died(function, child)
            if not isinstance(reply, dict) or cast("dict[str, object]", reply).get("id") != number:
                raise await self._died(function, child, said="it is the answer to no call")
            answered = True
            return cast("dict[str, object]", reply)
        finally:
            # Dead, late or abandoned by its caller: what this child would still say belongs to nobody.
            if not answered:
                await self._end()

    async def _running(self) -> tuple[asyncio.subprocess.Process, asyncio.StreamWriter, asyncio.StreamReader]:
        child = self._child
        if child is None or child.returncode is not None:
            await self._end()
            child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, **_THREADS},
                start_new_session=True,  # Ctrl-C in the daemon's terminal is for the daemon, which closes its child
            )
            self._child = child
            self._last_words.clear()
            self._listener = asyncio.create_task(self._listen(child), name="worker.stderr")
            log.info("worker.started", pid=child.pid)
        if child.stdin is None or child.stdout is None:
            message = "the worker child was started without pipes"
            raise RuntimeError(message)
        return child, child.stdin, child.stdout

    async def _listen(self, child: asyncio.subprocess.Process) -> None:
        """Keeps the last lines of stderr, in pieces when a line is longer than the reader's buffer."""
        if child.stderr is None:
            return
        while chunk := await child.stderr.read(4096):
            self._last_words.extend(chunk.decode(errors="replace").splitlines())

    async def _died(self, function: str, child: asyncio.subprocess.Process, *, said: str = "") -> WorkerDied:
        """The error for a child whose pipe broke, or that `said` what is no answer; if it lives on it is killed."""
        with contextlib.suppress(ProcessLookupError):
            if child.returncode is None and not said:
                await asyncio.wait([asyncio.ensure_future(child.wait())], timeout=1.0)
            child.kill()
        code = await child.wait()
        if self._listener is not None:
            await asyncio.wait([self._listener], timeout=1.0)
        ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        cause = f"it sent what cannot be read ({said})" if said else ended
        log.warning("worker.died", function=function, pid=child.pid, cause=cause)
        return WorkerDied(function=function, cause=cause, last_words=" / ".join(self._last_words))

    async def _end(self) -> None:
        child, self._child = self._child, None
        listener, self._listener = self._listener, None
        if child is not None and child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        if listener is not None:
            listener.cancel()
            await asyncio.wait([listener])
