"""Decisions: has the voters of a job decide how an instance of it ends, and knows what was decided."""

from __future__ import annotations

import random
from dataclasses import dataclass

import structlog

from realign_daemon.clock import Clock
from realign_daemon.decision.campaign import Campaign, Voters
from realign_daemon.decision.messages import Decision
from realign_daemon.decision.proposer import Proposal
from realign_daemon.decision.quorum import Electorate
from realign_daemon.decision.store import Also, DecisionStore
from realign_daemon.decision.value import Rehomed, Value, value_from_bytes, value_to_bytes

log = structlog.get_logger()

PATIENCE_S = 10.0  # three unanswered questions of 3 s each: by then a silent node counts as dead (after 6 s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an instance ended in, and the config epoch in which that was decided: the least for the next instance."""

    config_epoch: int
    value: Value


class Decisions:
    """What this node proposes and learns; it votes through its store."""

    def __init__(
        self,
        *,
        node: str,
        store: DecisionStore,
        voters: Voters,
        clock: Clock,
        chance: random.Random,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._node = node
        self._store = store
        self._voters = voters
        self._clock = clock
        self._chance = chance
        self._patience_s = patience_s

    async def decide(
        self, job_id: str, instance: int, home: str, voters: tuple[str, ...], value: Value, *, config_epoch: int = 0
    ) -> Value:
        """The value that stands for the instance, which need not be the given one. It is durable here by then.

        Home, voters and config epoch are those that the instance began with; all who propose in it give the same.

        Raises:
            NoMajority: too few voters answered in time. The given value may be decided all the same: ask again.
            Diverged: two values were decided, which no failure of machines or network can bring about.
        """
        proposal = Proposal(
            node=self._node,
            job_id=job_id,
            instance=instance,
            config_epoch=config_epoch,
            electorate=Electorate(home=home, voters=voters),
            value=value_to_bytes(value),
        )
        campaign = Campaign(proposal, store=self._store, voters=self._voters, clock=self._clock, chance=self._chance)
        standing = await self._learn(job_id, instance, await campaign.run(self._patience_s))
        log.info("decision.made", job=job_id, instance=instance, value=standing.value)
        return standing.value

    async def learn(self, job_id: str, instance: int, value: Value, *, config_epoch: int) -> Standing:
        """What stands for the instance with this decision taken in: that of the higher config epoch.

        Raises:
            Diverged: another value was decided in the same config epoch.
        """
        return await self._learn(job_id, instance, Decision(config_epoch=config_epoch, value=value_to_bytes(value)))

    async def adopt(
        self, job_id: str, instance: int, home: str, voters: tuple[str, ...], *, also: Also | None = None
    ) -> Standing:
        """The new home and its voters, decided by a person in place of a majority that is gone for good.

        It stands against whatever the lost voters decided. Nobody but this node knows of it until the journal has
        spread it, and no voter votes in its config epoch before that.
        """
        value = value_to_bytes(Rehomed(home=home, voters=voters))
        standing = _standing(await self._store.adopt(job_id, instance, node=self._node, value=value, also=also))
        log.warning("decision.adopted", job=job_id, instance=instance, value=standing.value)
        return standing

    async def standing(self, job_id: str, instance: int) -> Standing | None:
        """What stands for the instance as far as this node knows."""
        decision = await self._store.decision(job_id, instance)
        return None if decision is None else _standing(decision)

    async def _learn(self, job_id: str, instance: int, decision: Decision) -> Standing:
        return _standing(await self._store.learn(job_id, instance, decision))


def _standing(decision: Decision) -> Standing:
    return Standing(config_epoch=decision.config_epoch, value=value_from_bytes(decision.value))
