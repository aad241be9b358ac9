"""Cancellation that libraries keep to themselves.

gRPC's calls raise their own failure where they fail just as their caller is cancelled, and asyncio.wait_for, with which
gRPC's server stops, returns its result in that moment (up to Python 3.11). The caller then never hears that it is to
end: a daemon that was told to stop would go on for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def heeded() -> Generator[None]:
    """Ends with CancelledError where the task was cancelled inside, whatever came of what was awaited there."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    except Exception as error:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
