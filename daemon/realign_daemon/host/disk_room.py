"""Disk room: what a node still takes in as its disk fills up. Pure."""

from __future__ import annotations

# Of new work, so that what is under way can be finished, and what it makes can be written.
WORK_FLOOR_BYTES = 2 * 1024**3
WORK_FLOOR_FRACTION = 0.02
# Of what other nodes made: the rest is for this node's own results.
REPLICAS_FLOOR_BYTES = 512 * 1024**2


def work_floor_bytes(total_bytes: int) -> int:
    """A node with less than this free takes no new work."""
    return max(WORK_FLOOR_BYTES, int(total_bytes * WORK_FLOOR_FRACTION))


def replicas_room_bytes(free_bytes: int) -> int:
    """What other nodes' things may still take; none when it is not above 0."""
    return free_bytes - REPLICAS_FLOOR_BYTES
