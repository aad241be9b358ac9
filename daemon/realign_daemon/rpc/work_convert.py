"""Work messages to and from the wire. Pure."""

from __future__ import annotations

from typing import assert_never, cast, get_args

from realign_daemon.engine.api import Sha256
from realign_daemon.engine.codec import decode_task
from realign_daemon.rpc.group_convert import wish_from_wire, wish_to_wire
from realign_daemon.work.ledger import StoredResult
from realign_daemon.work.messages import (
    Abandon,
    Assign,
    Capacity,
    Command,
    Event,
    FailureKind,
    GroupLoss,
    GroupLost,
    Returned,
    Revoke,
    UnitDone,
    UnitFailed,
    UnitProgress,
)
from realign_daemon.work.units import UnitKey, make_unit
from realign_proto.v1 import work_pb2 as pb


def command_to_wire(command: Command) -> pb.WorkCommand:
    """The command as a message."""
    match command:
        case Assign(units=units, model=model, home=home, group=group, batch_size=size):
            wire = [pb.Unit(key=u.key, payload=u.payload, blobs=u.blobs, cost=u.cost) for u in units]
            wish = None if group is None else wish_to_wire(group)
            return pb.WorkCommand(assign=pb.Assign(units=wire, model=model, home=home, group=wish, batch_size=size))
        case Revoke(count=count):
            return pb.WorkCommand(revoke=pb.Revoke(count=count))
        case Abandon():
            return pb.WorkCommand(abandon=pb.Abandon())
        case _:
            assert_never(command)


def command_from_wire(wire: pb.WorkCommand) -> Command | None:
    """The command in the message; None for a kind this version does not know.

    Raises ValueError when a unit is malformed or its key is not the hash of its payload.
    """
    match wire.WhichOneof("command"):
        case "assign":
            given = wire.assign
            units = tuple(make_unit(decode_task(unit.payload)) for unit in given.units)
            if any(unit.key != sent.key for unit, sent in zip(units, given.units, strict=True)):
                message = "a unit's key is not the hash of its payload"
                raise ValueError(message)
            group = wish_from_wire(given.group) if given.HasField("group") else None
            return Assign(units=units, model=given.model, home=given.home, group=group, batch_size=given.batch_size)
        case "revoke":
            return Revoke(count=wire.revoke.count)
        case "abandon":
            return Abandon()
        case _:
            return None


def event_to_wire(event: Event) -> pb.WorkEvent:
    """The event as a message."""
    match event:
        case UnitDone(result=result, remembered=remembered, blobs=blobs):
            return pb.WorkEvent(
                result=pb.UnitResult(
                    key=result.key,
                    kind=result.kind,
                    result=result.result,
                    node=result.node,
                    started_unix_s=result.started_unix_s,
                    busy_s=result.busy_s,
                    tokens=result.tokens,
                    remembered=remembered,
                    blobs=blobs,
                )
            )
        case UnitFailed(key=key, kind=kind, message=message):
            return pb.WorkEvent(failure=pb.UnitFailure(key=key, kind=kind, message=message))
        case Returned(keys=keys):
            return pb.WorkEvent(returned=pb.Returned(keys=keys))
        case UnitProgress(key=key, done=done, total=total, note=note):
            return pb.WorkEvent(progress=pb.UnitProgress(key=key, done=done, total=total, note=note))
        case Capacity(slots=slots, model=model, accepting=accepting, reason=reason, held=held):
            return pb.WorkEvent(
                capacity=pb.Capacity(slots=slots, model=model, accepting=accepting, reason=reason, held=held),
            )
        case GroupLost(keys=keys, loss=loss):
            return pb.WorkEvent(
                group_lost=pb.GroupLost(
                    keys=keys,
                    wish=wish_to_wire(loss.wish),
                    group=loss.group,
                    lost=loss.lost,
                    cause=loss.cause,
                    thrown_away=loss.thrown_away,
                    worked=loss.worked,
                )
            )
        case _:
            assert_never(event)


def event_from_wire(wire: pb.WorkEvent) -> Event | None:  # noqa: PLR0911 - one for each kind
    """The event in the message; None for a kind this version does not know."""
    match wire.WhichOneof("event"):
        case "result":
            done = wire.result
            return UnitDone(
                result=StoredResult(
                    key=UnitKey(done.key),
                    kind=done.kind,
                    result=done.result,
                    node=done.node,
                    started_unix_s=done.started_unix_s,
                    busy_s=done.busy_s,
                    tokens=done.tokens,
                ),
                remembered=done.remembered,
                blobs=tuple(Sha256(name) for name in done.blobs),
            )
        case "failure":
            known = wire.failure.kind in get_args(FailureKind)
            kind = cast("FailureKind", wire.failure.kind) if known else "engine_died"
            return UnitFailed(key=UnitKey(wire.failure.key), kind=kind, message=wire.failure.message)
        case "returned":
            return Returned(keys=tuple(UnitKey(key) for key in wire.returned.keys))
        case "progress":
            update = wire.progress
            return UnitProgress(key=UnitKey(update.key), done=update.done, total=update.total, note=update.note)
        case "capacity":
            capacity = wire.capacity
            return Capacity(
                slots=capacity.slots,
                model=capacity.model,
                accepting=capacity.accepting,
                reason=capacity.reason,
                held=capacity.held,
            )
        case "group_lost":
            return _lost_from_wire(wire.group_lost)
        case _:
            return None


def _lost_from_wire(wire: pb.GroupLost) -> GroupLost | Returned:
    """What a home can make of it: a group that it knows nothing of was not its wish, but the units are its own."""
    keys = tuple(UnitKey(key) for key in wire.keys)
    try:
        wish = wish_from_wire(wire.wish)
    except ValueError:
        return Returned(keys=keys)
    return GroupLost(
        keys=keys,
        loss=GroupLoss(
            wish=wish,
            group=wire.group,
            lost=tuple(wire.lost),
            cause=wire.cause,
            thrown_away=wire.thrown_away,
            worked=wire.worked,
        ),
    )
