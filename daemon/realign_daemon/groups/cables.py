"""Cables: which RDMA device of which rank leads to which other rank. The matrix is pure; the cables are looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from realign_daemon.groups.messages import Cable, Devices
from realign_daemon.host.program import output_of
from realign_planner.diagnosis.commands import MACOS
from realign_planner.diagnosis.interfaces import read_thunderbolt_interfaces
from realign_planner.diagnosis.rdma import read_devices
from realign_planner.diagnosis.thunderbolt import read_ports

Ask = Callable[[str], str]  # name of a command -> what it prints


def read_cables(ask: Ask) -> tuple[Cable, ...]:
    """The cables to other Macs that have an RDMA device: names change with every restart and are never remembered."""
    interfaces = read_thunderbolt_interfaces(ask("networksetup_hardware_ports"))
    devices = read_devices(ask("ibv_devices")) or ()
    ports = read_ports(ask("system_profiler_thunderbolt")) or ()
    found = ((port, f"rdma_{interfaces.get(port.receptacle, '')}") for port in ports if port.peer)
    return tuple(
        Cable(device=device, domain=port.domain, peer_domain=port.peer) for port, device in found if device in devices
    )


async def own_cables() -> tuple[Cable, ...]:
    """Those of this machine, now."""
    return await asyncio.to_thread(read_cables, lambda name: output_of(*MACOS[name]))


def matrix_of(cables: Sequence[tuple[Cable, ...]]) -> Devices:
    """For each rank the devices that lead to each rank, in their order at the other end.

    () where no cable leads there: whether the group can be formed so is MLX's to say, which also takes a closed ring.
    """
    return tuple(tuple(_leading(own, other) if own is not other else () for other in cables) for own in cables)


def _leading(own: tuple[Cable, ...], other: tuple[Cable, ...]) -> tuple[str, ...]:
    ends = {(cable.domain, cable.peer_domain) for cable in other}
    return tuple(
        cable.device
        for cable in sorted(own, key=lambda cable: sorted((cable.domain, cable.peer_domain)))
        if (cable.peer_domain, cable.domain) in ends
    )
