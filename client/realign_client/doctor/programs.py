"""Programs: runs one of the system's own programs and takes down what it says, whatever that is and however long."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress

from realign_planner.diagnosis.answer import Answer

DEADLINE_S = 15.0  # system_profiler takes seconds; a program that waits for a wedged driver never ends
KILL_S = 1.0
OUTPUT_BYTES = 1024 * 1024  # of a program; what prints more is ended
# Where macOS keeps programs that are not on everybody's PATH.
FURTHER = ("/usr/sbin", "/sbin", "/usr/libexec/ApplicationFirewall")


async def ask_program(arguments: Sequence[str], *, deadline_s: float = DEADLINE_S) -> Answer | None:
    """What it says: on stderr where it has nothing to say on stdout. None when it is not on the PATH."""
    found = shutil.which(arguments[0], path=os.pathsep.join((os.environ.get("PATH", os.defpath), *FURTHER)))
    if found is None:
        return None
    try:
        process = await asyncio.create_subprocess_exec(
            found,
            *arguments[1:],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,  # so that its children end with it
        )
    except OSError as error:
        return Answer(text=error.strerror or "it cannot be started", status=126)
    assert process.stdout is not None
    assert process.stderr is not None
    said, complained = bytearray(), bytearray()
    status: int | None = None
    try:
        async with asyncio.timeout(deadline_s), asyncio.TaskGroup() as both:
            both.create_task(_take(process.stdout, said))
            both.create_task(_take(process.stderr, complained))
            both.create_task(process.wait())
        status = process.returncode
    except* TimeoutError:
        pass
    finally:
        await _end(process)
    return Answer(text=bytes(said or complained).decode("utf-8", errors="replace"), status=status)


async def _take(stream: asyncio.StreamReader, into: bytearray) -> None:
    """All that comes. Raises TimeoutError for what prints without end."""
    while part := await stream.read(OUTPUT_BYTES - len(into)):
        into.extend(part)
        if len(into) >= OUTPUT_BYTES:
            raise TimeoutError


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kills what is left of it, and reads its pipes to their ends, without which the event loop keeps them open."""
    assert process.stdout is not None
    assert process.stderr is not None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(KILL_S):
            for stream in (process.stdout, process.stderr):
                while await stream.read(OUTPUT_BYTES):
                    pass
            await process.wait()
