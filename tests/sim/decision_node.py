"""A simulated node: what it has on disk, what it is asking, and what a sabotaged one forgets at a crash."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from realign_daemon.decision.acceptor import Acceptor
from realign_daemon.decision.ballot import NEVER
from realign_daemon.decision.proposer import Proposal, State
from realign_daemon.decision.quorum import Electorate
from realign_daemon.decision.value import Ended, value_from_bytes

parsed = functools.lru_cache(maxsize=10_000)(value_from_bytes)


class Sabotage(Enum):
    NONE = auto()
    LOSE_LEDGER = auto()  # at some crashes, and know it: this breaks no promise
    FORGET_EVERYTHING = auto()  # at a crash
    FORGET_PROMISES = auto()  # at a crash, not the votes
    FORGET_VOTES = auto()  # at a crash, not the promises
    ONE_IS_A_MAJORITY = auto()
    REPLY_BEFORE_COMMIT = auto()
    CLAIM_WITHOUT_COMMIT = auto()
    IGNORE_VOTES = auto()  # a proposer insists on its own value


@dataclass(frozen=True, slots=True, kw_only=True)
class Charter:
    """The instance that a job is in, as far as a node knows, and who decides it."""

    instance: int
    electorate: Electorate
    config_epoch: int

    @property
    def key(self) -> tuple[int, int]:
        return self.instance, self.config_epoch


@dataclass(slots=True)
class Node:
    name: str
    is_up: bool = True
    life: int = 0  # what was begun in an earlier life is void
    disk: dict[int, Acceptor] = field(default_factory=dict[int, Acceptor])
    memory: dict[int, Acceptor] = field(default_factory=dict[int, Acceptor])  # not yet on disk: sabotage only
    ledger: int = 0  # how many were lost before it
    adopted: frozenset[int] = frozenset()  # config epochs that began in this ledger
    disk_free_at: float = 0
    proposers: dict[tuple[int, int], tuple[Proposal, State]] = field(
        default_factory=dict[tuple[int, int], tuple[Proposal, State]]
    )

    def config_epochs(self) -> frozenset[int]:
        return frozenset({0, *(held.decision.config_epoch for held in self.disk.values() if held.decision is not None)})

    def held(self, instance: int) -> Acceptor:
        """The acceptor on disk."""
        held = self.disk.get(instance) or Acceptor()
        epochs = self.config_epochs() & self.adopted if self.ledger else self.config_epochs()
        return held if held.config_epochs == epochs else replace(held, config_epochs=epochs)

    def charter(self, first: Electorate) -> Charter | None:
        """None once the job has ended."""
        charter = Charter(instance=0, electorate=first, config_epoch=0)
        while (held := self.disk.get(charter.instance)) is not None and (decision := held.decision) is not None:
            if decision.config_epoch < charter.config_epoch:
                break
            value = parsed(decision.value)
            if isinstance(value, Ended):
                return None
            charter = Charter(
                instance=charter.instance + 1,
                electorate=Electorate(home=value.home, voters=value.voters),
                config_epoch=decision.config_epoch,
            )
        return charter

    def crash(self, sabotage: Sabotage) -> None:
        self.is_up = False
        self.life += 1
        self.proposers.clear()
        self.memory.clear()
        match sabotage:
            case Sabotage.FORGET_EVERYTHING:
                self.disk.clear()
            case Sabotage.LOSE_LEDGER:
                self.disk.clear()
                self.ledger, self.adopted = self.ledger + 1, frozenset()
            case Sabotage.FORGET_PROMISES:
                self.disk = {
                    instance: replace(held, promised=held.vote.ballot if held.vote else NEVER)
                    for instance, held in self.disk.items()
                }
            case Sabotage.FORGET_VOTES:
                self.disk = {instance: replace(held, vote=None) for instance, held in self.disk.items()}
            case _:
                pass
