"""A worker whose registry holds functions that misbehave, each a real way for a parser to go wrong."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from realign_daemon.worker.supervisor import Worker

CHILD = """
import ctypes, os, sys, time
from realign_daemon.worker.child import serve

def echo(value): return value
def process_id(): return os.getpid()
def crash(): ctypes.string_at(0)
def leave(): os._exit(7)
def hang(marker):
    open(marker, "w").close()
    while True: time.sleep(60)
def complain(): raise ValueError("no such table")
def chatter(): os.write(1, b"a C library prints"); print("and Python too", flush=True); return "said"
def strange(): return object()
def long(): return bytes(65 * 1024 * 1024)
def last_words(): sys.stderr.write("cannot go on\\n"); sys.stderr.flush(); os._exit(3)

if __name__ == "__main__":
    names = "echo process_id crash leave hang complain chatter strange long last_words".split()
    serve({name: f"{os.path.splitext(os.path.basename(__file__))[0]}:{name}" for name in names})
"""


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    script = tmp_path_factory.mktemp("worker") / "misbehaving_child.py"
    script.write_text(CHILD)
    return (sys.executable, str(script))


@pytest.fixture
async def worker(command: tuple[str, ...]) -> AsyncIterator[Worker]:
    made = Worker(command=command)
    yield made
    await made.close()


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that `hang` creates once it is running."""
    return tmp_path / "hanging"
