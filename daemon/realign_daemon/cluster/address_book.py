"""AddressBook: where the nodes of the cluster may be dialled, by whatever way this node came to know it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.beats import KnownPeer
from realign_daemon.cluster.discovery import Finding, PeerFound
from realign_daemon.cluster.facts import NodeId

REMEMBERED_NODES = 64  # of each way; of those met, the one met longest ago goes first. The cluster is meant for 16


class AddressBook:
    """All of it is hints: who answers there, the node's certificate and its Hello say."""

    def __init__(self, *, given: Iterable[Address], met: Mapping[NodeId, tuple[Address, ...]]) -> None:
        """`given` are addresses of nodes that nobody named, `met` what is remembered from before."""
        self._given = frozenset(given)
        self._met = dict(met)
        self._found: dict[NodeId, tuple[Address, ...]] = {}
        self._heard_of: dict[NodeId, tuple[Address, ...]] = {}  # from other nodes, until they are met

    @property
    def met(self) -> Mapping[NodeId, tuple[Address, ...]]:
        """Where each node answered last, the one met longest ago first."""
        return dict(self._met)

    def where(self, node: NodeId) -> tuple[Address, ...]:
        """Where the node answered last; empty when it was never met."""
        return self._met.get(node, ())

    def give(self, addresses: Iterable[Address]) -> None:
        """Notes addresses of nodes that nobody named."""
        self._given |= frozenset(addresses)

    def meet(self, node: NodeId, addresses: tuple[Address, ...]) -> bool:
        """Notes where a node answered; whether that is news."""
        if not addresses or set(self.where(node)) == set(addresses):
            return False
        self._met.pop(node, None)
        self._heard_of.pop(node, None)
        self._met[node] = addresses
        while len(self._met) > REMEMBERED_NODES:
            del self._met[next(iter(self._met))]
        return True

    def find(self, finding: Finding) -> None:
        """Notes what Bonjour says, in place of what it said of that node before."""
        self._found.pop(finding.node, None)
        if isinstance(finding, PeerFound) and len(self._found) < REMEMBERED_NODES:
            self._found[finding.node] = finding.addresses

    def hear_of(self, peers: Sequence[KnownPeer]) -> bool:
        """Notes nodes that another node hears, unless they were met; whether that is news."""
        news = {peer.node: peer.addresses for peer in peers if peer.node not in self._met}
        if all(self._heard_of.get(node) == addresses for node, addresses in news.items()):
            return False
        self._heard_of.update(news)
        while len(self._heard_of) > REMEMBERED_NODES:
            del self._heard_of[next(iter(self._heard_of))]
        return True

    def entries(self) -> Iterator[tuple[Address, NodeId | None]]:
        """Every address, with the node that is to be there."""
        for address in self._given:
            yield address, None
        for known in (self._met, self._found, self._heard_of):
            for node, addresses in known.items():
                for address in addresses:
                    yield address, node
