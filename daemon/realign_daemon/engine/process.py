"""EngineProcess: one engine child from its start to its end, and why it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, cast

import structlog

from realign_daemon.engine.api import Progress
from realign_daemon.engine.ending import ending, last_words
from realign_daemon.engine.errors import BadTask, EngineDied
from realign_daemon.engine.frames import FrameError, pack_frame, read_frame, write_frame
from realign_daemon.engine.ranks import Formed, Rank, RankEvent, read_event

_log = structlog.get_logger()

_LAST_WORDS_BYTES = 8000
_EXIT_GRACE_S = 2.0  # at the end of stdin the child exits at once, unless it holds the interpreter's lock
# A step may take this many times the longest one seen, or a whole task's usual time, before it counts as hung: prompts
# differ in length, and reading a long one is a single step.
_PATIENCE = 5.0
_REMEMBERED_TASKS = 101


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOptions:
    """What the child is told at its start."""

    blas_cache: Path  # where the child finds, or puts, its fast matrix product
    duty_fraction: float
    max_batch_size: int
    rank: Rank | None = None  # None: it computes alone

    def argument(self) -> str:
        """The JSON that the child reads."""
        return json.dumps(
            {
                "blas_cache": str(self.blas_cache),
                "duty_fraction": self.duty_fraction,
                "max_batch_size": self.max_batch_size,
                "rank": self.rank and self.rank.as_plain(),
            }
        )


@dataclass(slots=True)
class _Pending:
    reply: asyncio.Future[dict[str, Any]]
    progress: Progress | None
    began_s: float | None  # None for trainings, loads and measurements, which are no measure of tasks


class EngineProcess:
    """Requests go in, each gets one reply; when the child ends, every open request gets EngineDied.

    Of a group's processes only that of rank 0 may be asked, and not before it is formed.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        model: str,
        temporary: tempfile.TemporaryDirectory[str],
        on_event: Callable[[RankEvent], None],
    ) -> None:
        """Use `start`."""
        self._process, self._model, self._temporary = process, model, temporary
        self._on_event = on_event
        self._formed = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._ids = count(1)
        self._pending: dict[int, _Pending] = {}
        self._stderr = b""
        self._cause = ""
        self._last_sign_s = self._clock()
        self._slowest_step_s = 0.0
        self._task_times_s = deque[float](maxlen=_REMEMBERED_TASKS)
        self._attending = asyncio.create_task(self._attend(), name=f"engine-{process.pid}")

    @classmethod
    async def start(
        cls,
        *,
        model: str,
        options: ChildOptions,
        environment: Mapping[str, str],
        scratch: Path,
        on_event: Callable[[RankEvent], None] | None = None,
    ) -> EngineProcess:
        """A child that runs; it has a folder of its own under `scratch` for temporary files.

        `scratch` exists. `on_event` is called on the event loop with what a rank tells beside its replies.
        """
        temporary = tempfile.TemporaryDirectory(prefix="engine-", dir=scratch, ignore_cleanup_errors=True)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "realign_daemon.engine.child",
                options.argument(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**environment, "TMPDIR": temporary.name},
                start_new_session=True,  # a Ctrl-C in the daemon's terminal is for the daemon to act on
            )
        except BaseException:
            temporary.cleanup()
            raise
        return cls(process, model, temporary, on_event or _ignore)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether no request can be answered any more."""
        return self._attending.done()

    @property
    def in_flight(self) -> int:
        """How many requests wait for their reply."""
        return len(self._pending)

    def death(self) -> EngineDied:
        """How it ended, with its last words."""
        cause = self._cause or ending(self._process.returncode)
        return EngineDied(model=self._model, cause=cause, last_words=last_words(self._stderr.decode(errors="replace")))

    async def request(
        self, body: Mapping[str, object], *, stall_timeout_s: float, progress: Progress | None = None
    ) -> dict[str, Any]:
        """The reply. Cancelling takes the request back.

        The child is killed when it gets on with nothing while this waits: for `stall_timeout_s`, for five times its
        slowest step, or for five times the median of its tasks, whichever is longest.

        Raises:
            BadTask: the child says that this can never work.
            EngineDied: the child ended before it replied.
        """
        if self.has_ended:
            raise self.death()
        if not self._pending:
            self._last_sign_s = self._clock()  # it had nothing to do until now
        request_id = next(self._ids)
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        began_s = self._clock() if body["op"] == "task" else None
        self._pending[request_id] = _Pending(reply, progress, began_s)
        try:
            with contextlib.suppress(ConnectionError):  # then it is ending, and that answers the request
                await write_frame(self._stdin, {**body, "id": request_id})
            await self._wait(reply, stall_timeout_s)
            return reply.result()
        except asyncio.CancelledError:
            self._stdin.write(pack_frame({"op": "cancel", "id": request_id}))
            raise
        finally:
            del self._pending[request_id]

    async def until_formed(self) -> None:
        """Returns when the rank is in its group, which may be never: the caller has a deadline. Raises EngineDied."""
        formed = asyncio.create_task(self._formed.wait(), name=f"engine-{self.pid}-formed")
        try:
            await asyncio.wait({formed, self._attending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            formed.cancel()
        if not self._formed.is_set():
            raise self.death()

    async def gathered(self, parts: bytes) -> None:
        """Answers a Gather with the parts of all ranks, in their order."""
        with contextlib.suppress(ConnectionError):  # it has ended, which its caller hears otherwise
            await write_frame(self._stdin, {"op": "gathered", "data": parts})

    async def until_ended(self) -> EngineDied:
        """How the child ended, once it has."""
        await asyncio.wait({self._attending})
        return self.death()

    async def kill(self, cause: str) -> None:
        """Ends the child without asking it, which a rank that waits for a lost peer would not hear."""
        if not self.has_ended:
            self._cause = self._cause or cause
            self._kill()
        await asyncio.wait({self._attending})

    async def end(self, cause: str) -> None:
        """Ends the child; open requests get EngineDied with this cause. Returns when it is gone."""
        if not self.has_ended:
            self._cause = self._cause or cause
            self._stdin.close()
            await asyncio.wait({self._attending}, timeout=_EXIT_GRACE_S)
            self._kill()
        await asyncio.wait({self._attending})

    @property
    def _stdin(self) -> asyncio.StreamWriter:
        return cast("asyncio.StreamWriter", self._process.stdin)

    async def _wait(self, reply: asyncio.Future[dict[str, Any]], stall_timeout_s: float) -> None:
        while not reply.done():
            limit_s = patience_s(stall_timeout_s, self._slowest_step_s, self._task_times_s)
            left_s = self._last_sign_s + limit_s - self._clock()
            if left_s > 0:
                await asyncio.wait({reply}, timeout=left_s)
            else:
                self._cause = f"it got on with nothing for {limit_s:.0f} s and was killed"
                self._kill()
                await asyncio.wait({reply})

    async def _attend(self) -> None:
        """Reads replies until the child is gone, then tells all who wait."""
        words = asyncio.create_task(self._listen(), name=f"engine-{self.pid}-stderr")
        try:
            replies = cast("asyncio.StreamReader", self._process.stdout)
            while (reply := await read_frame(replies)) is not None:
                self._take(cast("dict[str, Any]", reply))
        except (FrameError, ConnectionError) as error:
            self._cause = self._cause or f"it sent what is no reply ({error})"
        finally:
            await self._reap()
            await words
            self._temporary.cleanup()
            for pending in self._pending.values():
                if not pending.reply.done():
                    pending.reply.set_exception(self.death())

    async def _listen(self) -> None:
        stderr = cast("asyncio.StreamReader", self._process.stderr)
        while piece := await stderr.read(4096):
            self._stderr = (self._stderr + piece)[-_LAST_WORDS_BYTES:]

    def _take(self, reply: dict[str, Any]) -> None:
        event = read_event(reply)
        if event is not None:  # no sign of getting on: a beat comes from a child that hangs, too
            if isinstance(event, Formed):
                self._formed.set()
            asyncio.get_running_loop().call_soon(self._on_event, event)
            return
        self._last_sign_s = self._clock()
        if "tick" in reply:
            self._slowest_step_s = max(self._slowest_step_s, float(reply["tick"]))
            return
        if "warning" in reply:
            _log.warning(reply["warning"], reason=reply["reason"])
            return
        pending = self._pending.get(reply["id"])
        if pending is None or pending.reply.done():
            return  # its caller has gone
        if "refused" in reply:
            pending.reply.set_exception(BadTask(reply["refused"]))
        elif "progress" not in reply:
            pending.reply.set_result(reply)
            if pending.began_s is not None:
                self._task_times_s.append(self._clock() - pending.began_s)
        elif pending.progress is not None:
            # Later, so that a caller's fault in it is reported as the caller's and cannot stop the reading.
            asyncio.get_running_loop().call_soon(pending.progress, *reply["progress"])

    async def _reap(self) -> None:
        ending = asyncio.create_task(self._process.wait(), name=f"engine-{self.pid}-end")
        await asyncio.wait({ending}, timeout=_EXIT_GRACE_S)
        self._kill()
        await ending

    def _kill(self) -> None:
        """Kills what still runs. Not by Popen, which would take the exit status away from asyncio's own waiting."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def _ignore(_event: RankEvent) -> None:
    """A child that computes alone tells nothing that anybody waits for."""


def patience_s(stall_timeout_s: float, slowest_step_s: float, task_times_s: Collection[float]) -> float:
    """How long a child may show no sign of getting on."""
    return max(stall_timeout_s, _PATIENCE * slowest_step_s, _PATIENCE * median(task_times_s or (0.0,)))
