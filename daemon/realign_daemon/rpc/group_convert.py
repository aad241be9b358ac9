"""Group messages to and from the wire. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never, cast, get_args

from realign_daemon.cluster.facts import Cable
from realign_daemon.engine.api import GroupPart, ModelId
from realign_daemon.engine.ranks import Backend, Beat, CanaryTaken, Formed, Gather, GroupWish, Holding, Parallelism
from realign_daemon.groups.messages import (
    Command,
    Ended,
    Event,
    Gathered,
    HeadLives,
    Logprobs,
    Prepare,
    Prepared,
    Start,
    Started,
    Stop,
    Wanted,
)
from realign_proto.v1 import facts_pb2, work_pb2
from realign_proto.v1 import groups_pb2 as pb

MOST_RANKS = 64  # a cluster is meant for 16 nodes


def command_to_wire(command: Command) -> pb.GroupCommand:
    """The command as a message."""
    match command:
        case Prepare():
            return pb.GroupCommand(
                prepare=pb.PrepareRank(
                    group=command.group,
                    nodes=command.nodes,
                    rank=command.rank,
                    backend=command.backend,
                    parallelism=command.parallelism,
                    split=command.split,
                    model=command.model,
                    model_sha256=command.model_id,
                    mlx=command.mlx,
                    batch_size=command.batch_size,
                )
            )
        case Start(hosts=hosts, devices=devices):
            return pb.GroupCommand(
                start=pb.StartRank(
                    hosts=[pb.Addresses(addresses=row) for row in hosts],
                    devices=[pb.DeviceRow(devices=[pb.Addresses(addresses=cell) for cell in row]) for row in devices],
                )
            )
        case Gathered(parts=parts):
            return pb.GroupCommand(gathered=pb.Gathered(parts=parts))
        case HeadLives():
            return pb.GroupCommand(lives=pb.HeadLives())
        case Stop(distrusts=distrusts):
            return pb.GroupCommand(stop=pb.StopRank(distrusts=distrusts))
        case _:
            assert_never(command)


def command_from_wire(wire: pb.GroupCommand) -> Command | None:
    """The command in the message; None for a kind this version does not know. Raises ValueError on a malformed one."""
    match wire.WhichOneof("command"):
        case "prepare":
            asked = wire.prepare
            if not 2 <= len(asked.nodes) <= MOST_RANKS or asked.rank >= len(asked.nodes):  # noqa: PLR2004 - one is no group
                message = f"rank {asked.rank} of {len(asked.nodes)} is none"
                raise ValueError(message)
            if asked.split and (len(asked.split) != len(asked.nodes) or min(asked.split) < 1):
                message = f"the split {list(asked.split)} gives not each of {len(asked.nodes)} ranks a layer"
                raise ValueError(message)
            return Prepare(
                group=asked.group,
                nodes=tuple(asked.nodes),
                rank=asked.rank,
                backend=_backend(asked.backend),
                parallelism=_parallelism(asked.parallelism),
                split=tuple(asked.split),
                model=asked.model,
                model_id=ModelId(asked.model_sha256),
                mlx=asked.mlx,
                batch_size=asked.batch_size,
            )
        case "start":
            return Start(
                hosts=tuple(tuple(row.addresses) for row in wire.start.hosts),
                devices=tuple(tuple(tuple(cell.addresses) for cell in row.devices) for row in wire.start.devices),
            )
        case "gathered":
            return Gathered(parts=wire.gathered.parts)
        case "lives":
            return HeadLives()
        case "stop":
            return Stop(distrusts=wire.stop.distrusts)
        case _:
            return None


def event_to_wire(event: Event) -> pb.GroupEvent:  # noqa: PLR0911 - one for each kind
    """The event as a message."""
    match event:
        case Prepared(address=address, reference=reference, cables=cables):
            wire = [pb.Cable(device=one.device, domain=one.domain, peer_domain=one.peer_domain) for one in cables]
            return pb.GroupEvent(
                prepared=pb.RankPrepared(address=address, reference=_logprobs_to_wire(reference), cables=wire)
            )
        case Started(pid=pid):
            return pb.GroupEvent(started=pb.RankStarted(pid=pid))
        case Formed():
            return pb.GroupEvent(formed=pb.RankFormed())
        case Beat(steps=steps, busy=busy):
            return pb.GroupEvent(beat=pb.RankBeat(steps=steps, busy=busy))
        case Gather(data=data):
            return pb.GroupEvent(gather=pb.RankGather(part=data))
        case Holding(active_bytes=active, weight_bytes=weights):
            return pb.GroupEvent(holding=pb.RankHolding(active_bytes=active, weight_bytes=weights))
        case CanaryTaken(request=request, logprobs=logprobs):
            return pb.GroupEvent(canary=pb.RankCanary(request=request, found=_logprobs_to_wire(logprobs)))
        case Wanted():
            return pb.GroupEvent(wanted=pb.NodeWanted())
        case Ended(cause=cause, is_refusal=is_refusal):
            return pb.GroupEvent(ended=pb.RankEnded(cause=cause, refused=is_refusal))
        case _:
            assert_never(event)


def event_from_wire(wire: pb.GroupEvent) -> Event | None:  # noqa: PLR0911 - one for each kind
    """The event in the message; None for a kind this version does not know."""
    match wire.WhichOneof("event"):
        case "prepared":
            said = wire.prepared
            return Prepared(
                address=said.address,
                reference=_logprobs_from_wire(said.reference),
                cables=cables_from_wire(said.cables),
            )
        case "started":
            return Started(pid=wire.started.pid)
        case "formed":
            return Formed()
        case "beat":
            return Beat(steps=wire.beat.steps, busy=wire.beat.busy)
        case "gather":
            return Gather(data=wire.gather.part)
        case "holding":
            return Holding(active_bytes=wire.holding.active_bytes, weight_bytes=wire.holding.weight_bytes)
        case "canary":
            return CanaryTaken(request=wire.canary.request, logprobs=_logprobs_from_wire(wire.canary.found))
        case "wanted":
            return Wanted()
        case "ended":
            return Ended(cause=wire.ended.cause, is_refusal=wire.ended.refused)
        case _:
            return None


def wish_to_wire(wish: GroupWish) -> work_pb2.GroupWish:
    """Which nodes are to hold a model together."""
    return work_pb2.GroupWish(nodes=wish.nodes, backend=wish.backend, parallelism=wish.parallelism, split=wish.split)


def wish_from_wire(wire: work_pb2.GroupWish) -> GroupWish:
    """Which nodes are to hold a model together. Raises ValueError where this version knows no such group."""
    return GroupWish(
        nodes=tuple(wire.nodes),
        backend=_backend(wire.backend),
        parallelism=_parallelism(wire.parallelism),
        split=tuple(wire.split),
    )


def part_to_wire(part: GroupPart) -> facts_pb2.GroupPart:
    """A node's part of a group."""
    return facts_pb2.GroupPart(
        id=part.group,
        rank=part.rank,
        size=len(part.nodes),
        backend=part.backend,
        parallelism=part.parallelism,
        nodes=part.nodes,
        lacks_reference=part.lacks_reference,
    )


def part_from_wire(wire: facts_pb2.GroupPart) -> GroupPart:
    """A node's part of a group."""
    return GroupPart(
        group=wire.id,
        rank=wire.rank,
        backend=wire.backend,
        parallelism=wire.parallelism,
        nodes=tuple(wire.nodes),
        lacks_reference=wire.lacks_reference,
    )


def _logprobs_to_wire(found: Logprobs) -> list[pb.Logprobs]:
    return [pb.Logprobs(of_tokens=row) for row in found]


def _logprobs_from_wire(wire: Iterable[pb.Logprobs]) -> Logprobs:
    return tuple(tuple(row.of_tokens) for row in wire)


def _backend(word: str) -> Backend:
    if word not in get_args(Backend):
        message = f"this realign knows no backend {word!r}"
        raise ValueError(message)
    return cast("Backend", word)


def _parallelism(word: str) -> Parallelism:
    if word not in get_args(Parallelism):
        message = f"this realign cannot divide a model by {word!r}"
        raise ValueError(message)
    return cast("Parallelism", word)


def cables_from_wire(wire: Iterable[facts_pb2.RdmaPort | pb.Cable]) -> tuple[Cable, ...]:
    """Cables as their node sees them."""
    return tuple(Cable(device=one.device, domain=one.domain, peer_domain=one.peer_domain) for one in wire)
