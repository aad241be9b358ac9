"""OwnEngine: an engine that gives its memory back when asked."""

from __future__ import annotations

from typing import Protocol

from realign_daemon.engine.api import Engine


class OwnEngine(Engine, Protocol):
    """The engine of this machine."""

    async def unload(self, cause: str) -> None:
        """Gives its memory back, unless something runs in it."""
        ...
