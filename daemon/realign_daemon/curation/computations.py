"""Computations: calls to the worker child whose outcome is kept in the ledger, so that none is ever made twice."""

from __future__ import annotations

import hashlib
from typing import Protocol

from realign_daemon.clock import Clock
from realign_daemon.engine.codec import pack, unpack
from realign_daemon.work.ledger import Ledger


class Calls(Protocol):
    """The worker child."""

    async def call(self, function: str, arguments: dict[str, object], *, timeout_s: float) -> object:
        """What the function gives for these plain arguments."""
        ...


class Computations:
    """The worker child with a memory. Functions must depend on their arguments only."""

    def __init__(self, worker: Calls, ledger: Ledger, clock: Clock) -> None:
        self._worker = worker
        self._ledger = ledger
        self._clock = clock

    async def call(self, function: str, arguments: dict[str, object], *, timeout_s: float) -> object:
        """What the function gives for these plain arguments.

        Raises:
            WorkerError: see worker/errors.py; a failure is not remembered.
        """
        key = hashlib.sha256(pack([function, arguments])).hexdigest()
        stored = await self._ledger.computation(key, now_unix_s=self._clock.unix())
        if stored is None:
            stored = pack(await self._worker.call(function, arguments, timeout_s=timeout_s))
            await self._ledger.add_computation(key, stored, now_unix_s=self._clock.unix())
        return unpack(stored)
