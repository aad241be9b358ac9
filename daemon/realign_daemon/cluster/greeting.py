"""Greeting: what two nodes tell each other before anything else, and whether they get on. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId
from realign_daemon.errors import Incompatible

MIN_PROTOCOL = 1  # oldest wire protocol this realign speaks
MAX_PROTOCOL = 1  # newest one
FEATURES = frozenset[str]()  # what goes beyond the protocol; new behaviour gets a name here, never a version compare


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
    """The answer: the protocol and the features that both will use."""

    protocol: int
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
        older = ours if ours.max_protocol < theirs.max_protocol else theirs
        message = (
            f"{ours.name} runs realign {ours.version} (protocol {_range(ours)}) and {theirs.name} runs realign "
            f"{theirs.version} (protocol {_range(theirs)}), which have none in common; upgrade {older.name}"
        )
        raise Incompatible(message)
    return Welcome(
        protocol=protocol,
        features=ours.features & theirs.features,
        node=ours.node,
        name=ours.name,
        version=ours.version,
        addresses=ours.addresses,
    )


def _range(greeting: Greeting) -> str:
    low, high = greeting.min_protocol, greeting.max_protocol
    return str(low) if low == high else f"{low} to {high}"
