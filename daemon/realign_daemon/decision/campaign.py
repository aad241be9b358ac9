"""Campaign: one proposer at work: performs what it wants done, until its instance is decided or patience ends."""

from __future__ import annotations

import asyncio
import random
from typing import Protocol, assert_never

from realign_daemon.clock import Clock
from realign_daemon.decision.errors import NoMajority
from realign_daemon.decision.messages import Decision, Reply, Request
from realign_daemon.decision.proposer import (
    Answered,
    Ask,
    Claim,
    Claimed,
    Concluded,
    Effect,
    Event,
    Proposal,
    Rest,
    Rested,
    Unanswered,
    start,
    step,
)
from realign_daemon.decision.store import DecisionStore

FIRST_REST_S = 0.05  # a few rounds of a LAN's round trip and two durable commits, about 5 ms each with F_FULLFSYNC
LONGEST_REST_S = 1.0  # so that a majority that comes back is used within about a second


class Voters(Protocol):
    """How other nodes are asked."""

    async def ask(self, node: str, request: Request) -> Reply:
        """The node's answer. Raises ConnectionError when it gives none in time."""
        ...


class Campaign:
    """For one proposal, once."""

    def __init__(
        self, proposal: Proposal, *, store: DecisionStore, voters: Voters, clock: Clock, chance: random.Random
    ) -> None:
        self._proposal = proposal
        self._store = store
        self._voters = voters
        self._clock = clock
        self._chance = chance
        self._tasks: list[asyncio.Task[Event | None]] = []
        self._heard = {proposal.node}

    async def run(self, patience_s: float) -> Decision:
        """What was decided. Raises NoMajority when nothing was in this time."""
        state, effects = start()
        self._tasks.append(asyncio.create_task(self._lose_patience(patience_s), name="decision.patience"))
        try:
            while not isinstance(state, Concluded):
                self._tasks += (asyncio.create_task(self._perform(effect), name="decision") for effect in effects)
                state, effects = step(self._proposal, state, await self._next_event())
            return state.decision
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _next_event(self) -> Event:
        """The outcome of the earliest task that is through."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        task = next(task for task in self._tasks if task.done())
        self._tasks.remove(task)
        event = task.result()
        match event:
            case Answered(node=node):
                self._heard.add(node)
            case Unanswered(node=node):
                self._heard.discard(node)
            case None:
                missing = tuple(node for node in self._proposal.electorate.voters if node not in self._heard)
                raise NoMajority(job_id=self._proposal.job_id, missing=missing)
            case _:
                pass
        return event

    async def _perform(self, effect: Effect) -> Event:
        match effect:
            case Claim(above=above):
                reply = await self._store.claim(
                    self._proposal.job_id,
                    self._proposal.instance,
                    node=self._proposal.node,
                    config_epoch=self._proposal.config_epoch,
                    above=above,
                )
                return Claimed(reply=reply)
            case Ask(node=node, request=request) if node == self._proposal.node:
                return Answered(node=node, reply=await self._store.answer(request))
            case Ask(node=node, request=request):
                try:
                    return Answered(node=node, reply=await self._voters.ask(node, request))
                except ConnectionError:
                    return Unanswered(node=node, request=request)
            case Rest(attempts=attempts):
                longest_s = min(LONGEST_REST_S, FIRST_REST_S * 2 ** min(attempts, 16))
                await self._clock.sleep(longest_s * self._chance.uniform(0.5, 1.0))
                return Rested()
            case _:
                assert_never(effect)

    async def _lose_patience(self, patience_s: float) -> None:
        await self._clock.sleep(patience_s)
