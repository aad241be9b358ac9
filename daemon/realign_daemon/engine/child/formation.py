"""Formation: how this process becomes a rank of its group, or ends with a sentence that says why not."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import faulthandler
import tempfile
from collections.abc import Callable, MutableMapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from realign_daemon.engine.child.inbox import Inbox
from realign_daemon.engine.child.outbox import Outbox
from realign_daemon.engine.ranks import Rank

# Values in the sums that prove a group: 4 bytes, 1 KiB, 64 KiB and 1 MiB take different ways through a backend. Each is
# exact in float32, whatever the order of the sum.
_PROOFS = (1, 2**8, 2**14, 2**18)
_PATTERN = 251
# A ring's rank tries for 31 s to connect, and waits for ever to be connected to, with the interpreter's lock: where its
# daemon is killed meanwhile, nothing else would end it.
_LONGEST_WAIT_S = 60.0


class NoGroup(Exception):
    """There is no group, not the one that was planned, or no longer."""

    def __init__(self, rank: Rank, problem: str) -> None:
        """`problem` says what is wrong and what to do."""
        super().__init__(f"rank {rank.rank} of group {rank.plan.group} ({rank.plan.backend}): {problem}")


def prepare(rank: Rank, environment: MutableMapping[str, str]) -> None:
    """Writes what MLX reads when a group is formed: a file and a few variables.

    Raises:
        NoGroup: the plan is none.
    """
    if problem := rank.plan.problem():
        raise NoGroup(rank, problem)
    folder = Path(tempfile.mkdtemp(prefix="group-"))
    environment["MLX_RANK"] = str(rank.rank)
    if rank.plan.backend == "ring":
        hosts = folder / "hosts.json"
        hosts.write_text(rank.hostfile())
        environment["MLX_HOSTFILE"] = str(hosts)
        return
    devices = folder / "devices.json"
    devices.write_text(rank.device_file())
    environment["MLX_IBV_DEVICES"] = str(devices)
    if rank.plan.coordinator:
        environment["MLX_JACCL_COORDINATOR"] = rank.plan.coordinator
    if any(len(cables) > 1 for row in rank.plan.devices for cables in row):
        environment["MLX_JACCL_RING"] = "1"  # the mesh would use the first of parallel cables only


def form(rank: Rank, inbox: Inbox, outbox: Outbox) -> Any:
    """MLX's group, proven by sums that depend on every rank.

    Holds the interpreter's lock while it waits for the others, and a ring's rank may wait for ever: whoever started it
    has a deadline.

    Raises:
        NoGroup: see its text.
    """
    import mlx.core as mx

    faulthandler.dump_traceback_later(_LONGEST_WAIT_S, exit=True)
    try:
        if rank.plan.backend == "jaccl" and not rank.plan.coordinator:
            group = mx.distributed.init(
                backend="jaccl", strict=True, all_gather_factory=lambda _rank, _size: hand_shake(rank, inbox, outbox)
            )
        else:
            group = mx.distributed.init(backend=rank.plan.backend, strict=True)
    except (RuntimeError, TypeError) as error:  # TypeError: an MLX before 0.32.1 takes no all_gather_factory
        raise NoGroup(rank, f"MLX {version('mlx')} could not join ({error}); look at the links and start anew") from (
            error
        )
    if (group.rank(), group.size()) != (rank.rank, rank.plan.size):
        problem = f"it became rank {group.rank()} of {group.size()} where the plan has {rank.plan.size} ranks"
        raise NoGroup(rank, f"{problem}; give every rank the same plan")
    for count in _PROOFS:
        _prove(rank, group, count)
    faulthandler.cancel_dump_traceback_later()
    return group


def _prove(rank: Rank, group: Any, count: int) -> None:
    import mlx.core as mx

    size = rank.plan.size
    values = (mx.arange(count) % _PATTERN).astype(mx.float32)
    found = mx.distributed.all_sum(values * (rank.rank + 1), group=group, stream=mx.cpu)
    if not bool(mx.array_equal(found, values * (size * (size + 1) // 2)).item()):
        raise NoGroup(rank, f"a sum of {count} values over the ranks came out wrong; do not use this link")


def hand_shake(rank: Rank, inbox: Inbox, outbox: Outbox) -> Callable[[bytes, int], bytes]:
    """What JACCL exchanges its connections by: every rank's part goes to its daemon, and all parts come back."""

    def gather(own: bytes, length: int) -> bytes:
        outbox.gather(bytes(own[:length]))
        parts: bytes = inbox.take(wait=True)[0]["data"]
        if len(parts) != length * rank.plan.size:
            message = f"the hand-shake brought {len(parts)} bytes, {length} of each rank were due"
            raise RuntimeError(message)
        return parts

    return gather
