"""Sandbox: one run of an untrusted Python program in a process that can harm nothing, and whether there is one here.

Bounded: processor and wall-clock time, address space, files, open files, output. Refused: other processes, the network,
every file but the interpreter's. Not bounded: memory on macOS (its kernel does not keep to RLIMIT_AS), which only the
deadline limits; and a bug in the kernel opens any sandbox.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal, TypedDict

from realign_daemon.curation.verify import code_inside
from realign_daemon.curation.verify.confine import confined
from realign_daemon.curation.verify.errors import NoSandbox

MEMORY_BYTES = 512 * 1024 * 1024
FILE_BYTES = 4 * 1024 * 1024  # output is a file, too
OPEN_FILES = 32
MAX_OUTPUT_BYTES = 1024 * 1024
PROBE_TIMEOUT_S = 10.0
_CPU_ENDED = 128 + signal.SIGXCPU  # as bubblewrap reports the signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A statement to run after the program, or an expression whose value is wanted."""

    source: str
    is_value: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a run ended, what the program printed, and what came from inside: to be trusted as values, no further.

    ended: with exit status 0. failed: with another one. never_started: it is the sandbox that failed.
    """

    how: Literal["ended", "failed", "timeout", "never_started"]
    output: bytes
    results: tuple[str, ...]


class SandboxReport(TypedDict):
    """Whether programs can be run in safety here, by what, and if not, why; plain data for the pipe."""

    available: bool
    kind: str
    reason: str


def run(program: str, *, steps: Sequence[Step] | None, stdin: bytes = b"", timeout_s: float) -> Ran:
    """One run: with `steps` they follow the program, without it runs as a script on `stdin`.

    Raises:
        NoSandbox: there is no sandbox on this machine.
    """
    limits = {
        "RLIMIT_CPU": math.ceil(timeout_s) + 1,
        "RLIMIT_AS": MEMORY_BYTES,
        "RLIMIT_FSIZE": FILE_BYTES,
        "RLIMIT_NOFILE": OPEN_FILES,
        "RLIMIT_CORE": 0,
    }
    listed = None if steps is None else [{"source": step.source, "is_value": step.is_value} for step in steps]
    payload = json.dumps({"program": program, "steps": listed, "limits": limits}).encode()
    with contextlib.ExitStack() as held:
        given, typed, output, results = (held.enter_context(tempfile.TemporaryFile()) for _ in range(4))
        for file, content in ((given, payload), (typed, stdin)):
            file.write(content)
            file.seek(0)
        inherited = (given.fileno(), results.fileno())
        start = held.enter_context(confined(("-c", _SCRIPT, *map(str, inherited))))
        process = subprocess.Popen(
            start.command,
            stdin=typed,
            stdout=output,
            stderr=subprocess.DEVNULL,
            pass_fds=(*inherited, *start.descriptors),
            cwd=start.folder,
            env=start.environment,
            start_new_session=True,
        )
        how = _wait(process, timeout_s)
        lines = _content(results).decode(errors="replace").split("\n")
        if lines[0] != "ready" and how != "timeout":
            how = "never_started"
        return Ran(how=how, output=_content(output), results=tuple(lines[1:-1]))


def sandbox(asked_by: str = "") -> SandboxReport:  # noqa: ARG001 - for who remembers answers by their arguments
    """What confines programs here, tried out: a program that reaches for a file, the network and a second process.

    The answer is about this moment. A caller that remembers answers passes something new with `asked_by`, such as the
    name of its job, and so asks again after a sandbox was installed.
    """
    kind = "sandbox-exec" if sys.platform == "darwin" else "bubblewrap"
    try:
        reason = _escape()
    except (NoSandbox, OSError) as error:
        reason = error.reason if isinstance(error, NoSandbox) else f"{kind} cannot be started: {error}"
    return {"available": not reason, "kind": kind if not reason else "", "reason": reason}


@lru_cache(maxsize=1)
def require_sandbox() -> None:
    """Nothing; asks `sandbox` once a process if all is well.

    Raises:
        NoSandbox: programs cannot be run in safety here.
    """
    report = sandbox()
    if not report["available"]:
        raise NoSandbox(reason=report["reason"])


def _escape() -> str:
    """How the probe got out, or why it did not run; "" when it ran and was held."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
        tries = (f"reads({str(Path(__file__))!r})", f"connects({port})", "forks()", "writes()", "1 + 1")
        ran = run(_PROBE, steps=[Step(source=source, is_value=True) for source in tries], timeout_s=PROBE_TIMEOUT_S)
    if ran.how == "never_started":
        return "the sandbox does not start a program; on Linux, user namespaces may be switched off"
    if ran.how == "timeout":
        return f"a trivial program did not end in {PROBE_TIMEOUT_S:g} s in the sandbox"
    outcomes = [json.loads(line) for line in ran.results]
    if outcomes != [["=", False]] * 4 + [["int", "0x2"]]:
        return f"the sandbox does not hold: of reading, connecting, forking and writing came {ran.results}"
    return ""


_SCRIPT = Path(code_inside.__file__).read_text(encoding="utf-8")
_PROBE = """
import os, socket

def tried(action):
    try:
        action()
    except OSError:
        return False
    return True

def reads(path): return tried(lambda: open(path).close())
def connects(port): return tried(lambda: socket.create_connection(("127.0.0.1", port), timeout=1).close())
def writes(): return tried(lambda: open("/realign-probe", "w").close())
def forks():
    try:
        child = os.fork()
    except OSError:
        return False
    if child == 0:
        os._exit(0)
    return True
"""


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> Literal["ended", "failed", "timeout"]:
    try:
        status = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return "timeout"
    finally:
        # The group holds bubblewrap, with which its namespace of processes dies.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if status in {_CPU_ENDED, -signal.SIGXCPU}:
        return "timeout"
    return "ended" if status == 0 else "failed"


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(MAX_OUTPUT_BYTES)
