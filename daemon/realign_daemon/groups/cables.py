"""Cables: which RDMA device of which rank leads to which other rank."""

from __future__ import annotations

from collections.abc import Sequence

from realign_daemon.cluster.facts import Cable
from realign_daemon.groups.messages import Devices


def matrix_of(cables: Sequence[tuple[Cable, ...]]) -> Devices:
    """For each rank the devices that lead to each rank, in their order at the other end.

    () where no cable leads there: whether the group can be formed so is MLX's to say, which also takes a closed ring.
    """
    return tuple(tuple(_leading(own, other) if own is not other else () for other in cables) for own in cables)


def _leading(own: tuple[Cable, ...], other: tuple[Cable, ...]) -> tuple[str, ...]:
    return tuple(
        cable.device
        for cable in sorted(own, key=lambda cable: sorted((cable.domain, cable.peer_domain)))
        if any(cable.meets(end) for end in other)
    )
