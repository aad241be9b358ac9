"""Event loop: runs a command's coroutine, which Ctrl-C ends at any moment."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Like asyncio.run, whose own handling of SIGINT wakes no loop.

    A signal that comes just before the loop waits, or to another thread, would be heard with the next event, which may
    be hours away. Once the loop handles any signal by itself, every one is written to a socket that wakes it: it takes
    over SIGTERM for as long as it runs, where the process has a handler for that.
    """
    terminate = signal.getsignal(signal.SIGTERM)
    if not callable(terminate):
        return asyncio.run(coroutine)
    try:
        return asyncio.run(_woken(coroutine, terminate))
    finally:
        signal.signal(signal.SIGTERM, terminate)


async def _woken(coroutine: Coroutine[Any, Any, T], terminate: Callable[..., object]) -> T:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate, signal.SIGTERM, None)
    return await coroutine
