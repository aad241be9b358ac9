"""Protocol: what this realign speaks to other nodes. See docs/decisions/0014-protocol.md for when a number changes."""

from __future__ import annotations

from typing import Final

MIN_PROTOCOL: Final = 1  # oldest wire protocol this realign speaks: the one before its newest, once there is one
MAX_PROTOCOL: Final = 1  # newest one
# What goes beyond the protocol. New behaviour gets a name here, never a version compare, and waits until
# ClusterView.has_feature says that all nodes have it.
# It can be a rank of a model that several nodes hold together. The number counts what ranks do with each other: those
# of another number would meet in unlike collectives.
GROUPS: Final = "groups-2"
FEATURES: Final = frozenset({GROUPS})
