"""Rank: one process of a group that holds one model together, or trains it together; and what it tells its daemon."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from realign_daemon.engine.codec import structured

Backend = Literal["ring", "jaccl"]
# tensor: every rank has a part of every layer. pipeline: some whole layers. data: everything, and trains on its part of
# every batch.
Parallelism = Literal["tensor", "pipeline", "data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupWish:
    """Which nodes a home wants to hold a model together, and how."""

    nodes: tuple[str, ...]  # node ids in the order of the ranks: the first one is the head, which is given the units
    backend: Backend
    parallelism: Parallelism
    split: tuple[int, ...] = ()  # see GroupPlan
    batch_size: int = field(default=0, compare=False)  # sequences that its ranks should have room for; 0: not said


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPlan:
    """What all ranks of one attempt are told alike. Ranks are counted from 0; rank 0 is asked, the others follow it."""

    group: str  # the name of this attempt, used once: a group that lost a rank is over
    backend: Backend
    parallelism: Parallelism
    hosts: tuple[tuple[str, ...], ...] = ()  # ring: the "ipv4:port"s each rank listens on, of all the same number
    devices: tuple[tuple[tuple[str, ...], ...], ...] = ()  # jaccl: [i][j] are rank i's devices that lead to rank j
    coordinator: str = ""  # jaccl: "ipv4:port" of rank 0; empty: the hand-shake goes over the pipes, see Gather
    split: tuple[int, ...] = ()  # pipeline: how many layers each rank has, the LAST of them rank 0; empty: evenly

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return len(self.hosts if self.backend == "ring" else self.devices)

    def problem(self) -> str:
        """Why no group can be formed by this; empty when one can."""
        if self.size < 2:  # noqa: PLR2004 - a ring of one would connect to itself for ever
            return f"a group has at least two ranks, this has {self.size}"
        if self.backend == "ring" and (not self.hosts[0] or len({len(row) for row in self.hosts}) > 1):
            return "every rank needs addresses, and all the same number"
        if self.backend == "jaccl":
            if any(len(row) != self.size for row in self.devices):
                return "the matrix of devices is not square"
            if any(self.devices[rank][rank] for rank in range(self.size)):
                return "a rank has a device that leads to itself"
        if self.split and (len(self.split) != self.size or min(self.split) < 1):
            return f"the split {self.split} gives not each of {self.size} ranks a layer"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One process of a group."""

    plan: GroupPlan
    rank: int
    folder: Path  # where this node has the model

    def as_plain(self) -> dict[str, Any]:
        """As the child is told it."""
        return {"plan": asdict(self.plan), "rank": self.rank, "folder": str(self.folder)}

    def hostfile(self) -> str:
        """The JSON that MLX_HOSTFILE points to."""
        return json.dumps(self.plan.hosts)

    def device_file(self) -> str:
        """The JSON that MLX_IBV_DEVICES points to: null, one name, or a list of the names of parallel cables."""
        return json.dumps([[_cell(devices) for devices in row] for row in self.plan.devices])


@dataclass(frozen=True, slots=True, kw_only=True)
class Formed:
    """The group is whole and its sums are right: rank 0 may be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The process runs. `steps` says whether its main thread gets on: with work, else with rounds through the group."""

    steps: int
    busy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """This rank's part of JACCL's hand-shake; the answer is the parts of all ranks in order, one after another."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a rank has in memory after a load: all of it, and how much of that are weights."""

    active_bytes: int
    weight_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryTaken:
    """What this rank itself finds for the texts of a canary: the log-probability of every completion token."""

    request: int  # rank 0's number of it
    logprobs: tuple[tuple[float, ...], ...]


def read_rank(plain: Mapping[str, Any]) -> Rank:
    """The rank in what as_plain gave. Raises ValueError where it is none."""
    return Rank(plan=structured(plain["plan"], GroupPlan), rank=int(plain["rank"]), folder=Path(plain["folder"]))


RankEvent = Formed | Beat | Gather | Holding | CanaryTaken


def read_event(frame: Mapping[str, Any]) -> RankEvent | None:
    """The event in a frame from a child, or None when it is a frame of another kind."""
    match frame:
        case {"formed": _}:
            return Formed()
        case {"beat": [int(steps), bool(busy)]}:
            return Beat(steps=steps, busy=busy)
        case {"gather": bytes(data)}:
            return Gather(data=data)
        case {"holding": [int(active), int(weights)]}:
            return Holding(active_bytes=active, weight_bytes=weights)
        case {"canary": [int(request), logprobs]}:
            rows = cast("list[list[float]]", logprobs)
            return CanaryTaken(request=request, logprobs=tuple(map(tuple, rows)))
        case _:
            return None


def _cell(devices: tuple[str, ...]) -> str | list[str] | None:
    return (devices[0] if len(devices) == 1 else list(devices)) if devices else None
