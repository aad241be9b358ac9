"""Messages between the head of a group and the nodes of its other ranks."""

from __future__ import annotations

from dataclasses import dataclass

from realign_daemon.cluster.facts import Cable
from realign_daemon.engine.api import ModelId
from realign_daemon.engine.ranks import Backend, GroupPlan, Parallelism, RankEvent

Logprobs = tuple[tuple[float, ...], ...]  # of each text of a canary, the log-probability of each completion token
Hosts = tuple[tuple[str, ...], ...]
Devices = tuple[tuple[tuple[str, ...], ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Head to node: says which rank of which group it should be, and asks where it would listen."""

    group: str  # the attempt's name
    nodes: tuple[str, ...]  # names, in the order of the ranks
    rank: int
    backend: Backend
    parallelism: Parallelism
    split: tuple[int, ...]
    model: str  # registry name
    model_id: ModelId
    mlx: str  # the version that the head has
    batch_size: int = 0  # sequences whose cache the rank should have room for; 0: not said

    @property
    def head(self) -> str:
        """The name of the node that asks."""
        return self.nodes[0]

    @property
    def size(self) -> int:
        """How many ranks there will be."""
        return len(self.nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Head to node: this is where everybody listens; begin."""

    hosts: Hosts = ()
    devices: Devices = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Head to node: the parts of JACCL's hand-shake of all ranks, in their order."""

    parts: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLives:
    """Head to node, every second: the group goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Head to node: the group is over."""

    distrusts: bool = False  # it computed something wrong, so nothing that was found out before counts any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Node to head: yes."""

    address: str = ""  # ring: "ipv4:port" that was free just now
    reference: Logprobs = ()  # what this node by itself finds for the canary; () where the model does not fit it
    cables: tuple[Cable, ...] = ()  # jaccl


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Node to head: the process runs."""

    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Node to head: some home has other work for this node, so the group should not outlast its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Node to head: there is no process any more, or there never was one."""

    cause: str  # one sentence
    is_refusal: bool = False


Command = Prepare | Start | Gathered | HeadLives | Stop
Event = Prepared | Started | RankEvent | Wanted | Ended


def plan_of(prepare: Prepare, start: Start) -> GroupPlan:
    """What the ranks are told. Raises ValueError with a sentence when no group can be formed by it."""
    plan = GroupPlan(
        group=prepare.group,
        backend=prepare.backend,
        parallelism=prepare.parallelism,
        hosts=start.hosts,
        devices=start.devices,
        split=prepare.split,
    )
    problem = plan.problem()
    if plan.size != prepare.size:
        problem = f"{prepare.size} ranks were meant, and addresses of {plan.size} are told"
    if problem:
        raise ValueError(f"group {plan.group} cannot be formed: {problem}")
    return plan
