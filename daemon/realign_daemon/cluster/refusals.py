"""Refusals: whom this node will not work with, or who will not work with it, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId

log = structlog.get_logger()

CALLERS = 16  # that are remembered, the last ones
REASON_CHARACTERS = 400  # a stranger's name and version are in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One of them. `address` is where it answers, or says that it does; None when it did not say."""

    address: Address | None
    reason: str  # one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caller:
    refused: Refused
    until_s: float


class Refusals:
    """Of those that this node dials, for as long as it dials them; of those that call it, for as long as they do."""

    def __init__(self, *, callers_kept_s: float) -> None:
        """A caller is forgotten when it was not heard for so long."""
        self._callers_kept_s = callers_kept_s
        self._dialled: dict[Address, str] = {}
        self._callers: dict[NodeId, _Caller] = {}  # the one that was heard last is last

    @property
    def dialled(self) -> Mapping[Address, str]:
        """Why a node that answers there is no peer: one sentence for each address."""
        return dict(self._dialled)

    def current(self, now_s: float) -> tuple[Refused, ...]:
        """All of them, one for each address: those that are dialled first."""
        dialled = [Refused(address=address, reason=reason) for address, reason in sorted(self._dialled.items())]
        calling = [caller.refused for caller in self._callers.values() if now_s < caller.until_s]
        return (*dialled, *(one for one in calling if one.address is None or one.address not in self._dialled))

    def note(self, address: Address, reason: str) -> None:
        """A node that was dialled there is no peer."""
        reason = reason[:REASON_CHARACTERS]
        if self._dialled.get(address) != reason:
            self._dialled[address] = reason
            log.warning("peer.refused", address=str(address), reason=reason)

    def forget(self, address: Address) -> None:
        """What is there is dialled no more, or is a peer."""
        self._dialled.pop(address, None)

    def forget_all_dialled(self) -> None:
        """All are dialled anew."""
        self._dialled.clear()

    def note_caller(self, node: NodeId, addresses: Sequence[Address], reason: str, *, now_s: float) -> None:
        """A node that introduced itself was turned away."""
        refused = Refused(address=next(iter(addresses), None), reason=reason[:REASON_CHARACTERS])
        before = self._callers.pop(node, None)
        self._callers[node] = _Caller(refused=refused, until_s=now_s + self._callers_kept_s)
        if len(self._callers) > CALLERS:
            del self._callers[next(iter(self._callers))]
        if before is None or before.refused != refused:
            log.warning("peer.turned_away", node=node, address=str(refused.address), reason=refused.reason)

    def forget_caller(self, node: NodeId) -> None:
        """The node introduced itself again and is welcome."""
        self._callers.pop(node, None)
