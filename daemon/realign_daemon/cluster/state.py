"""Cluster state: what a node remembers of its cluster over a restart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

import structlog

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId
from realign_daemon.durable_file import replace_file

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger()

FILE = "cluster.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterState:
    """The highest term seen, who led in it, and where each peer answered last."""

    term: int = 0
    leader: NodeId | None = None
    addresses: Mapping[NodeId, tuple[Address, ...]] = field(default_factory=dict[NodeId, tuple[Address, ...]])


class Store(Protocol):
    """Where the state is kept. `save` returns once it would survive a power cut; it blocks."""

    def load(self) -> ClusterState:
        """The state saved last, or an empty one."""
        ...

    def save(self, state: ClusterState) -> None:
        """Keeps this state instead."""
        ...


class StateFile:
    """A Store in one JSON file."""

    def __init__(self, data_dir: Path) -> None:
        """The folder must exist by the first save."""
        self._path = data_dir / FILE

    def load(self) -> ClusterState:
        """See Store. A damaged file counts as none: peers teach the term again at their first beat."""
        try:
            document: object = json.loads(self._path.read_bytes())
            return _read(cast("dict[str, object]", document))
        except FileNotFoundError:
            return ClusterState()
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            log.warning("cluster.state_damaged", path=str(self._path), reason=str(error))
            return ClusterState()

    def save(self, state: ClusterState) -> None:
        """See Store. Raises OSError when the disk is full or broken."""
        document = {  # keys of addresses stay in their order: the node met longest ago comes first
            "term": state.term,
            "leader": state.leader,
            "addresses": {node: [str(address) for address in known] for node, known in state.addresses.items()},
        }
        replace_file(self._path, json.dumps(document, indent=1).encode())


def _read(document: dict[str, object]) -> ClusterState:
    leader = document["leader"]
    addresses = cast("dict[str, list[str]]", document["addresses"])
    return ClusterState(
        term=int(cast("int", document["term"])),
        leader=NodeId(leader) if isinstance(leader, str) else None,
        addresses={NodeId(node): tuple(Address.parse(text) for text in known) for node, known in addresses.items()},
    )
