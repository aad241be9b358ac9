"""Daemons that know each other's addresses, and a client's submit: how simulations of whole daemons begin."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from realign_daemon.cluster.addresses import Address
from realign_daemon.curation.stages.work import Work
from realign_daemon.engine.api import Task
from realign_daemon.testing.memory_grpc import open_channel
from realign_daemon.testing.memory_network import Host, Network
from realign_daemon.testing.virtual_clock import VirtualClock
from realign_daemon.testing.virtual_daemon import PORT, VirtualDaemon
from realign_daemon.witness import Witness
from realign_planner.data_types import DataType
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1.curation_pb2_grpc import CurationStub

SUBMIT_TIMEOUT_S = 8.0


def machines(
    network: Network,
    count: int,
    *,
    takes_s: Callable[[Task], float],
    work: Mapping[DataType, Work],
    has_witness: bool = False,
) -> list[VirtualDaemon]:
    """Not booted yet, their disks in the current folder; the witness, if there is one, comes last."""
    names = [*(f"n{number}" for number in range(count)), *(["witness"] if has_witness else [])]
    hosts = [network.host(name) for name in names]
    peers = tuple(Address(host=host.ip, port=PORT) for host in hosts)
    chance = network.loop.chance
    found = [
        VirtualDaemon(
            host=host,
            clock=VirtualClock(network.loop, continuous_skew_s=chance.uniform(0, 1e6)),
            chance=chance,
            folder=Path(host.name),
            peers=peers,
            takes_s=takes_s,
            work=work,
        )
        for host in hosts
    ]
    if has_witness:
        found[-1].kind = Witness
    return found


async def submit(client: Host, to: VirtualDaemon, text: bytes, request: pb.JobRequest) -> str:
    """The id of the job that the daemon took in, on this text. Raises AioRpcError."""
    source = pb.Source(name="a.txt", sha256=hashlib.sha256(text).hexdigest(), size_bytes=len(text))
    request.sources.append(source)

    async def parts() -> AsyncIterator[pb.SubmitRequest]:
        yield pb.SubmitRequest(request=request)
        yield pb.SubmitRequest(bytes=pb.SourceBytes(sha256=source.sha256, data=text))

    channel = open_channel(client, to.address)
    try:
        return (await CurationStub(channel).Submit(parts(), timeout=SUBMIT_TIMEOUT_S)).job_id
    finally:
        await channel.close()
