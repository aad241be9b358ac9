"""Turn: the right to have the cluster, which one job of a home has at a time."""

from __future__ import annotations

import asyncio


class Turn:
    """That of one job. Those who wait for theirs get it in the order in which they asked."""

    def __init__(self, turns: asyncio.Lock) -> None:
        """`turns` is the home's."""
        self._turns = turns
        self._is_mine = False

    async def take(self) -> None:
        """Waits for it."""
        await self._turns.acquire()
        self._is_mine = True

    def give(self) -> None:
        """Lets the next have it; nothing where it has been given already."""
        if self._is_mine:
            self._is_mine = False
            self._turns.release()
