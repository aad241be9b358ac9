"""InlineWorker: a worker without a child: its functions run on the spot. It passes the real worker's contract suite."""

from __future__ import annotations

from collections.abc import Mapping

from realign_daemon.engine.codec import pack, unpack
from realign_daemon.worker.errors import WorkerRefused
from realign_daemon.worker.registry import FUNCTIONS, resolve


class InlineWorker:
    """See curation.computations.Calls. Nothing in it can crash, hang or be killed."""

    def __init__(self, functions: Mapping[str, str] = FUNCTIONS) -> None:
        self._functions = functions

    async def call(self, function: str, arguments: dict[str, object], *, timeout_s: float) -> object:  # noqa: ARG002 - it takes no time
        """What the function gives for these arguments, as plain as it would come out of a child.

        Raises:
            WorkerRefused: the function raised, or has no such name.
        """
        if function not in self._functions:
            raise WorkerRefused(function=function, reason="no function of that name is registered")
        try:
            return unpack(pack(resolve(self._functions[function])(**arguments)))
        except Exception as error:  # the boundary of one call: whatever it raised is its answer
            raise WorkerRefused(function=function, reason=f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """See Worker: there is no child to end."""
