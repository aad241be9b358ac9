"""Greeting: what two nodes tell each other before anything else, and whether they get on. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.protocol import FEATURES, MAX_PROTOCOL, MIN_PROTOCOL
from realign_daemon.errors import Incompatible


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """A node as it introduces itself. `addresses` is where it can be dialled back."""

    min_protocol: int = MIN_PROTOCOL
    max_protocol: int = MAX_PROTOCOL
    features: frozenset[str] = FEATURES
    tag: str
    node: NodeId
    name: str
    version: str
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The answer: the protocol and the features that both will use, and the protocols that the answering node speaks.

    Where it does not say which it speaks, it speaks the one that it chose.
    """

    protocol: int
    min_protocol: int
    max_protocol: int
    features: frozenset[str]
    node: NodeId
    name: str
    version: str
    addresses: tuple[Address, ...] = ()


def welcome(ours: Greeting, theirs: Greeting) -> Welcome:
    """Our answer to their greeting.

    Raises:
        Incompatible: another cluster, or no protocol version in common; the text is meant for their user.
    """
    if theirs.tag != ours.tag:
        message = (
            f"{ours.name} belongs to the cluster {ours.tag!r} and {theirs.name} to {theirs.tag!r}; "
            "give both the same [cluster] tag"
        )
        raise Incompatible(message)
    protocol = min(ours.max_protocol, theirs.max_protocol)
    if protocol < max(ours.min_protocol, theirs.min_protocol):
        raise Incompatible(_none_in_common(ours, theirs))
    return Welcome(
        protocol=protocol,
        min_protocol=ours.min_protocol,
        max_protocol=ours.max_protocol,
        features=ours.features & theirs.features,
        node=ours.node,
        name=ours.name,
        version=ours.version,
        addresses=ours.addresses,
    )


def check_welcome(ours: Greeting, theirs: Welcome) -> None:
    """Returns when this node speaks what the other one chose.

    Raises:
        Incompatible: it does not, which a node of another age may not have noticed.
    """
    if not ours.min_protocol <= theirs.protocol <= ours.max_protocol:
        raise Incompatible(_none_in_common(ours, theirs))


def _none_in_common(ours: Greeting, theirs: Greeting | Welcome) -> str:
    older = ours if ours.max_protocol < theirs.max_protocol else theirs
    return (
        f"{ours.name} runs realign {ours.version} (protocol {_range(ours)}) and {theirs.name} runs realign "
        f"{theirs.version} (protocol {_range(theirs)}), which have none in common; upgrade {older.name}"
    )


def _range(node: Greeting | Welcome) -> str:
    low, high = node.min_protocol, node.max_protocol
    return str(low) if low == high else f"{low} to {high}"
