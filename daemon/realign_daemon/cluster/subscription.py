"""Subscription: the events of the cluster, in order, for one listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog

from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.membership import PeerEvent

log = structlog.get_logger()

WAITING_EVENTS = 1024  # of one subscriber; beyond it the oldest are dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderChanged:
    """Another node leads, or none (while one is chosen)."""

    leader: NodeId | None
    term: int


ClusterEvent = PeerEvent | LeaderChanged


class Subscription:
    """Events from the moment of subscribing on, in order. Ends never; drop it to unsubscribe."""

    def __init__(self) -> None:
        self._waiting = asyncio.Queue[ClusterEvent](maxsize=WAITING_EVENTS)

    def __aiter__(self) -> AsyncIterator[ClusterEvent]:
        """Itself."""
        return self

    async def __anext__(self) -> ClusterEvent:
        """The next event."""
        return await self._waiting.get()

    def put(self, event: ClusterEvent) -> None:
        """Adds an event; drops the oldest when nobody takes them."""
        if self._waiting.full():
            self._waiting.get_nowait()
            log.warning("cluster.event_dropped", limit=WAITING_EVENTS)
        self._waiting.put_nowait(event)
