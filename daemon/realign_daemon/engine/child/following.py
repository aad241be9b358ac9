"""Following: an inbox that all ranks of a group see alike, each request and cancellation before the same step."""

# pyright: reportUnknownMemberType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any, cast

import mlx.core as mx

from realign_daemon.engine.child.inbox import Inbox
from realign_daemon.engine.child.peers import Peers
from realign_daemon.engine.frames import pack_frame, read_frame_blocking

# A rank that waits inside a collective spins: a core at 100 %. So where there is nothing to do all ranks sleep between
# looks, twice as long after each, up to this. It costs 0.8 % of a core each (two ranks on two busy cores, measured
# 2026-11-23), and the first request after a rest waits for up to this long.
_FIRST_NAP_S, _LONGEST_NAP_S = 0.001, 0.2


class SharedInbox:
    """What rank 0's inbox takes, taken by every rank at the same place among its steps; the others' inboxes stay empty.

    How much has come is announced one turn ahead: the announcement is on its way before the turn's step is, and needs
    not wait for the step after that, which MLX has begun by then.
    """

    def __init__(self, inbox: Inbox, peers: Peers, on_round: Callable[[], None] = lambda: None) -> None:
        """`inbox` is this rank's own; `on_round` is called when the ranks have met while there is nothing to do."""
        self._inbox, self._peers, self._on_round = inbox, peers, on_round
        self._mine = b""
        self._announced: mx.array | None = None

    def take(self, *, wait: bool) -> list[dict[str, Any]]:
        """See Inbox."""
        nap_s = _FIRST_NAP_S
        while True:
            if self._announced is None:
                self._announce(self._inbox.take(wait=False))
            taken = self._collect()
            if taken or not wait:
                self._announce(self._inbox.take(wait=False))
                return taken
            self._on_round()
            self._announce(self._nap(nap_s))
            nap_s = min(2 * nap_s, _LONGEST_NAP_S)

    def is_cancelled(self, task_id: int) -> bool:
        """See Inbox; every rank asks at the same places."""
        return self._peers.any(self._inbox.is_cancelled(task_id))

    def forget(self, task_id: int) -> None:
        """See Inbox."""
        self._inbox.forget(task_id)

    def _nap(self, nap_s: float) -> list[dict[str, Any]]:
        if self._peers.leads:
            return self._inbox.take(wait=True, at_most_s=nap_s)
        time.sleep(nap_s)
        return []

    def _announce(self, requests: list[dict[str, Any]]) -> None:
        self._mine = b"".join(map(pack_frame, requests))
        self._announced = self._peers.sum(mx.array(len(self._mine)))
        mx.async_eval(self._announced)

    def _collect(self) -> list[dict[str, Any]]:
        length = cast("int", cast("mx.array", self._announced).item())
        self._announced = None
        frames = io.BytesIO(self._peers.share_known(self._mine, length))
        return list(iter(lambda: cast("dict[str, Any]", read_frame_blocking(frames)), None))
