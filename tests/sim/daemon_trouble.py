"""What one seed has happen to whole daemons, and the calm after it: crashes, cuts, freezes, sleep, full disks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from tests.sim.daemon_world import ACCEPT, World, job_of

from realign_daemon.testing.memory_socket import Conditions
from realign_daemon.testing.virtual_daemon import DISK, GIB, VirtualDaemon

MEET_S = 1.3  # until the first job comes
TROUBLE_S = 2.5  # in which all trouble begins
TROUBLES = (1, 3)
LASTS_S = (0.2, 6.8)  # a node counts as dead after 6 s
DEATHS = ("crash", "crash", "power")
OTHERS = ("freeze", "sleep", "isolate", "isolate", "one way", "flapping", "loss", "low disk", "low disk")
LOSING = frozenset({"crash", "power", "freeze", "sleep", "isolate"})  # nobody hears the node
ONLY_DEATHS = 0.3  # of the worlds: in these a unit is computed twice only where a node died
LOSS = Conditions(loss_fraction=0.2, latency_s=0.05)
AT_A_VOTE = 0.2  # of the other troubles
VOTE_S = 15.0  # that such trouble waits for one
AFTER_A_VOTE_S = 0.03  # the home's decision is with the others after some 50 ms
LONG_S = 12.0  # enough for a node that is cut off to be given up and its jobs to be taken over
LONG = 0.12  # of the troubles last so long, and come upon a home where there is one
ADOPTED = 0.5  # of the homes that are not heard for so long: somebody wants their job elsewhere
FULL = replace(DISK, free_bytes=GIB // 4)
TOLD_S = 2.5  # within which a node that hears the others has all that is small, be it that it had to connect anew
TIRELESS = 0.2  # of the worlds: in these the trouble goes on when everything has ended
CALM_S = 150.0  # within which everything ends once the trouble is over
LOOK_S = 0.5
FOUND_S = 5.0  # cluster.timing: the longest wait between two dials is 4 s


class NeverCalm(Exception):
    """The trouble is over for CALM_S, and something has not ended, or the nodes do not hold the same."""


class Trouble:
    """Of one world. What it did is told in its events."""

    def __init__(self, world: World, play: Callable[[World, Trouble], Awaitable[None]] | None = None) -> None:
        """What is played takes the place of what the seed would give."""
        self._play = play
        self._world = world
        self._chance = world.loop.chance
        self._hurting: set[str] = set()
        self._full: set[str] = set()  # of these, those that are but short of disk
        self.only_deaths = play is None and self._chance.random() < ONLY_DEATHS
        self._is_tireless = self._chance.random() < TIRELESS
        self._rest = world.loop.create_future()  # done once there is nothing left that trouble could spoil
        self.events: list[str] = []
        self.healed_s = 0.0  # when all of it was over
        self.at_risk = 0  # units that were to be computed again: see the world's `at_risk` and `under_way`
        self.returned_s: list[float] = []  # when a node that had died was there again
        self.lost: list[str] = []  # what a node did not have any more when it came back

    async def story(self) -> None:
        """Boots, jobs, trouble, and the calm after it.

        Raises:
            NeverCalm: what must come to an end has not.
        """
        world, chance = self._world, self._chance
        for node in world.nodes:
            world.loop.call_later(chance.uniform(0, MEET_S / 2), node.boot)
        await asyncio.sleep(MEET_S)
        jobs = world.client.begin_jobs(may_remove=self._play is None)
        looking = asyncio.create_task(self._look_on(jobs), name="look")
        if self._play is not None:
            await self._play(world, self)
        else:
            count = chance.randint(*TROUBLES)
            await asyncio.gather(*(asyncio.create_task(self._hurt(), name="trouble") for _ in range(count)))
        world.network.heal()
        self.healed_s = world.loop.time()
        _, refused = await asyncio.wait(jobs, timeout=CALM_S)
        if refused:
            raise NeverCalm(f"nobody takes or removes a job: {world.client.refusal}")
        while not world.is_calm():
            if world.loop.time() > self.healed_s + CALM_S:
                raise NeverCalm(world.told())
            await asyncio.sleep(LOOK_S)
        looking.cancel()
        world.look_at_ends()

    async def _look_on(self, jobs: Sequence[asyncio.Task[None]]) -> None:
        world = self._world
        while True:
            world.look_at_ends()
            if not (self._is_tireless or self._rest.done()) and all(job.done() for job in jobs) and world.is_calm():
                self._rest.set_result(None)
            await asyncio.sleep(LOOK_S)

    async def _pass(self, seconds: float) -> None:
        await asyncio.wait({self._rest}, timeout=seconds)

    async def _hurt(self) -> None:
        """Something happens to a node, and passes."""
        chance = self._chance
        if not self.only_deaths and chance.random() < AT_A_VOTE:
            await self._hurt_at_a_vote()
            return
        await self._pass(chance.uniform(0, TROUBLE_S))
        unhurt = [node for node in self._world.nodes if node.host.name not in self._hurting]
        if not unhurt or self._rest.done():
            return
        is_long = chance.random() < LONG
        homes = [node for node in unhurt if node.node_id in self._world.homes()] if is_long else []
        node, kind = chance.choice(homes or unhurt), chance.choice(DEATHS if self.only_deaths else (*DEATHS, *OTHERS))
        lasts_s = LONG_S if is_long else chance.uniform(*LASTS_S)
        self._note(kind, node)
        self._hurting.add(node.host.name)
        if kind == "low disk":
            await self.fill(node, 2 * lasts_s)  # else that is over before a job has ended
        else:
            parts = [self._part(node, kind, lasts_s)]
            if homes and kind in LOSING and chance.random() < ADOPTED:
                parts.append(self._adopt_from(node, lasts_s))
            await asyncio.gather(*parts)
            self._world.apart_until_s = self._world.loop.time()
        self._hurting.discard(node.host.name)

    async def _part(self, node: VirtualDaemon, kind: str, lasts_s: float) -> None:
        """The node cannot be heard, or not always."""
        match kind:
            case "crash" | "power":
                await self.kill(node, kind, lasts_s)
            case "freeze" | "sleep":
                (node.host.freeze if kind == "freeze" else node.host.sleep)()
                await self._pass(lasts_s)
                node.host.resume()
            case _:
                await self._cut(node, kind, lasts_s)

    async def fill(self, node: VirtualDaemon, lasts_s: float) -> None:
        """The node's disk is nearly full. As long as it hears the others it knows all that is small nevertheless."""
        world = self._world
        self._full.add(node.host.name)
        node.disk = FULL
        await self._pass(lasts_s)
        asked_s = world.loop.time()
        told = set[str]().union(*map(world.small, world.nodes))
        await asyncio.sleep(TOLD_S)
        if self._hurting <= self._full and asked_s - world.apart_until_s > FOUND_S:
            lacking = world.untold(node, told)
            self.lost += [f"I7: {node.host.name}, short of disk, has not heard of the {what}" for what in lacking]
        node.disk = DISK
        self._full.discard(node.host.name)

    async def _adopt_from(self, home: VirtualDaemon, lasts_s: float) -> None:
        """A person has one of a lost home's jobs go on elsewhere."""
        world = self._world
        others = [node for node in world.workers if node is not home]
        for asked in [asked for asked in world.client.asked if world.claim(asked.job_id)[0] == home.node_id][:1]:
            self._note(f"adopt {asked.job_id} from", home)
            await world.client.adopt(asked.job_id, self._chance.choice(others), within_s=lasts_s)

    async def _hurt_at_a_vote(self) -> None:
        """A voter dies just after it has voted, and another node, perhaps that which counts the votes, is cut off."""
        world, chance = self._world, self._chance
        vote = world.next_answer(ACCEPT)
        await asyncio.wait({vote, self._rest}, timeout=VOTE_S, return_when=asyncio.FIRST_COMPLETED)
        if not vote.done() or self._hurting:
            return
        voter = vote.result()
        other = chance.choice([node for node in world.nodes if node is not voter])
        names = {voter.host.name, other.host.name}
        self._hurting |= names
        await asyncio.sleep(chance.uniform(0, AFTER_A_VOTE_S))
        self._note("vote and crash", voter)
        self._note("cut", other)
        world.network.isolate(other.host)
        await self.kill(voter, "crash", chance.uniform(*LASTS_S) / 4)
        await self._pass(LONG_S)
        world.network.heal()
        world.apart_until_s = world.loop.time()
        self._hurting -= names

    async def kill(self, node: VirtualDaemon, kind: str, lasts_s: float) -> None:
        """The node dies, and comes back with what its disk has."""
        self.at_risk += self._world.at_risk(node)
        told = self._world.told_others(node)
        (node.host.crash if kind == "crash" else node.host.lose_power)()
        await self._pass(lasts_s)
        node.connection.reopen()
        self.at_risk += self._world.under_way()
        self.returned_s.append(self._world.loop.time())
        held = {str(row[0]) for row in node.connection.execute("SELECT kind || ' ' || ref FROM journal")}
        gone = {what for what in told - held if job_of(what) in self._world.buried(node)}
        self.lost += [f"I2: {node.host.name} had told of {what} and lost it" for what in sorted(told - held - gone)]
        node.boot()

    async def _cut(self, node: VirtualDaemon, kind: str, lasts_s: float) -> None:
        network = self._world.network
        other = self._chance.choice([one for one in self._world.nodes if one is not node])
        match kind:
            case "isolate":
                network.isolate(node.host)
            case "one way":
                network.cut(node.host, other.host)
            case "flapping":
                for _ in range(4):
                    network.isolate(node.host)
                    await self._pass(lasts_s / 8)
                    network.heal()
                    await self._pass(lasts_s / 8)
                return
            case _:
                network.change(node.host, other.host, LOSS)
        await self._pass(lasts_s)
        network.change(node.host, other.host, Conditions())
        network.heal()

    def _note(self, kind: str, node: VirtualDaemon) -> None:
        self.events.append(f"{kind} {node.host.name} at {self._world.loop.time():.1f}")
