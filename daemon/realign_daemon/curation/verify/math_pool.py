"""Math pool: processes that compare formulas, one check at a time each, killed from outside at the deadline.

math-verify's own time limit is an alarm signal, which only works in a main thread and cannot interrupt a long operation
within the interpreter. Here any thread may ask, and what hangs is killed and replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, cast, get_args

from realign_daemon.curation.verify.errors import NoMathChecker
from realign_daemon.curation.verify.math_child import READY
from realign_daemon.curation.verify.result import Result

START_TIMEOUT_S = 60.0  # importing sympy takes 0.5 s on an idle machine
COMMAND: Final = (sys.executable, "-m", "realign_daemon.curation.verify.math_child")


class MathChecker:
    """One process. Not for several threads at once; MathPool hands it out. Nothing starts before the first check."""

    def __init__(self, *, hash_seed: int = 0) -> None:
        """`hash_seed` decides the order of sympy's sets, and so which way a simplification takes."""
        self._hash_seed = hash_seed
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id; None while there is none."""
        return self._process.pid if self._process is not None else None

    def check(self, answer: str, gold: str, *, timeout_s: float) -> Result:
        """What the comparison of two final answers ends in. A process that died meanwhile is replaced, once a check.

        Raises:
            NoMathChecker: no process can be started.
        """
        request = json.dumps({"answer": answer, "gold": gold, "timeout_s": timeout_s}).encode() + b"\n"
        for _ in range(2):
            process = self._running()
            reply = self._exchange(process, request, timeout_s)
            if reply is None:
                self.close()
                return "timeout"
            if reply in get_args(Result):
                return cast("Result", reply)
            self.close()
        return "verifier_error"

    def close(self) -> None:
        """Ends the process. A later check starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, "PYTHONHASHSEED": str(self._hash_seed)},
            start_new_session=True,
        )
        first = _read_line(self._process, START_TIMEOUT_S)
        if first is None or first.encode() + b"\n" != READY:
            self.close()
            raise NoMathChecker(reason="it ended at once" if first == "" else f"silent for {START_TIMEOUT_S:g} s")
        return self._process

    @staticmethod
    def _exchange(process: subprocess.Popen[bytes], request: bytes, timeout_s: float) -> str | None:
        """The reply; "" when the process has ended, None at the deadline."""
        try:
            assert process.stdin is not None
            process.stdin.write(request)
        except BrokenPipeError:
            return ""
        return _read_line(process, timeout_s)


class MathPool:
    """Several checkers for all threads of a process."""

    def __init__(self, *, size: int = 2, hash_seed: int = 0) -> None:
        """`size` checks run side by side."""
        self._size = size
        self._idle: queue.LifoQueue[MathChecker] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(MathChecker(hash_seed=hash_seed))

    def check_all(self, pairs: Sequence[tuple[str, str]], *, timeout_s: float) -> list[Result]:
        """The results for pairs of a final answer and a gold one, in their order; the deadline is for each.

        Raises:
            NoMathChecker: no process can be started.
        """

        def check(pair: tuple[str, str]) -> Result:
            checker = self._idle.get()
            try:
                return checker.check(*pair, timeout_s=timeout_s)
            finally:
                self._idle.put(checker)

        with ThreadPoolExecutor(self._size, thread_name_prefix="verify.math") as threads:
            return list(threads.map(check, pairs))

    def close(self) -> None:
        """Ends all processes; waits for checks that run."""
        for checker in [self._idle.get() for _ in range(self._size)]:
            checker.close()
            self._idle.put(checker)


def _read_line(process: subprocess.Popen[bytes], timeout_s: float) -> str | None:
    """The next line without its end; "" when the pipe has ended, None when the time is up."""
    deadline, line = time.monotonic() + timeout_s, b""
    assert process.stdout is not None
    output = process.stdout.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            chunk = os.read(output, 4096)
            if not chunk:
                return ""
            line += chunk
    return line.decode().removesuffix("\n")
