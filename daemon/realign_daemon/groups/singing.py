"""Singing: a canary asked of a process that has loaded the model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from realign_daemon.engine.api import ModelId
from realign_daemon.engine.codec import encode
from realign_daemon.engine.errors import BadTask
from realign_daemon.groups.canary import songs
from realign_daemon.groups.messages import Logprobs

Ask = Callable[[Mapping[str, object]], Awaitable[dict[str, Any]]]  # a request to a process in, its reply out


async def sing(ask: Ask, model: ModelId, length: int = 0) -> tuple[int, Logprobs]:
    """The canary of this length, or of the longest that the model reads: its length, and what is found.

    Raises what `ask` raises.
    """
    tasks = [encode(task) for task in songs(model, length)]
    try:
        reply = await ask({"op": "canary", "tasks": tasks, "adapter": "", "adapter_path": ""})
    except BadTask:
        if not length:
            raise
        return await sing(ask, model, length - 1)
    return length, tuple(map(tuple, reply["value"]))


async def reference(ask: Ask, model: ModelId, lengths: int) -> Logprobs:
    """What a node alone finds for so many lengths from 0 on, or as many as it reads. Raises what `ask` raises."""
    found: Logprobs = ()
    for length in range(lengths):
        sung, findings = await sing(ask, model, length)
        if sung < length:
            break
        found += findings
    return found
