"""Scenes: what must come together for a forgotten vote or promise to matter, which random trouble does too rarely."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.sim.daemon_trouble import FOUND_S, Trouble
from tests.sim.daemon_work import units_of
from tests.sim.daemon_world import ACCEPT, PREPARE, World

from realign_daemon.testing.memory_socket import Conditions
from realign_daemon.testing.virtual_daemon import VirtualDaemon

SLOW = Conditions(latency_s=1.4)  # there and back in less than the 3 s that a voter is given
SETTLE_S = 1.0  # until all follow the new leader
BLINK_S = 0.05
PATIENCE_S = 15.0  # a node that is cut off is given up after 6 s
SPLIT_S = 6.0
TAKEOVER_S = 12.0  # within which the others have given a home up and moved its jobs
HEARD_S = 0.001  # until an answer is there


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What happens, in a cluster of which size."""

    size: int
    play: Callable[[World, Trouble], Awaitable[None]]


async def _a_vote(world: World, trouble: Trouble) -> None:
    """A job's home reaches one voter alone: that votes for its end and dies, and the home is cut off from all."""
    home = await _nearly_done(world)
    voter, other = world.loop.chance.sample([node for node in world.nodes if node is not home], 2)
    _part(world, home, other)
    await _answer(world, ACCEPT, voter)
    await asyncio.sleep(HEARD_S)
    world.network.isolate(home.host)
    await trouble.kill(voter, "crash", BLINK_S)
    await asyncio.sleep(TAKEOVER_S)


async def _a_promise(world: World, trouble: Trouble) -> None:
    """A job's home, which does not lead, has but the end to get decided, and reaches one voter alone.

    The others believe it lost, and want to move the job: that voter promises to help them, and dies before the last of
    them, who is slow, has answered.
    """
    home = await _nearly_done(world)
    voter, first, second = world.loop.chance.sample([node for node in world.nodes if node is not home], 3)
    engines = [node.engines[-1] for node in world.nodes]
    for engine in engines:
        engine.hold()
    await world.client.transfer(first)
    await asyncio.sleep(SETTLE_S)
    for other in (first, second):
        _part(world, home, other)
    for one, other in ((first, second), (second, first)):
        world.network.change(one.host, other.host, SLOW)
    await _answer(world, PREPARE, voter)
    for engine in engines:
        engine.release()
    await trouble.kill(voter, "crash", BLINK_S)
    await _answer(world, ACCEPT, voter)
    world.network.isolate(home.host)  # before anybody hears what it has decided
    await asyncio.sleep(SPLIT_S)
    for one, other in ((first, second), (second, first)):
        world.network.change(one.host, other.host, Conditions())


async def _a_full_home(world: World, trouble: Trouble) -> None:
    """A job's home that is short of disk is cut off, a person has the job adopted, and the home is back before room is.

    It computes nothing itself, but the units that were under way, and so cannot have ended the job meanwhile.
    """
    while not world.client.asked:  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(BLINK_S)
    job_id = world.client.asked[0].job_id
    home = next(node for node in world.nodes if node.node_id == world.claim(job_id)[0])
    other = next(node for node in world.workers if node is not home)
    engines = [node.engines[-1] for node in world.workers]
    for engine in engines:
        engine.hold()
    filling = asyncio.create_task(trouble.fill(home, SETTLE_S + TAKEOVER_S + FOUND_S + TAKEOVER_S), name="trouble")
    await asyncio.sleep(SETTLE_S)
    world.network.isolate(home.host)
    await world.client.adopt(job_id, other, within_s=TAKEOVER_S)
    world.network.heal()
    world.apart_until_s = world.loop.time()
    await asyncio.sleep(FOUND_S)
    for engine in engines:
        engine.release()
    await filling


async def _nearly_done(world: World) -> VirtualDaemon:
    """The home of the first job, once all units of that were begun."""
    while not world.client.asked or len(world.begun) < units_of(world.client.asked[0].request):  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(BLINK_S)
    query = "SELECT home FROM jobs WHERE job_id=?"
    ((home,),) = {node.connection.execute(query, (world.client.asked[0].job_id,)).fetchone() for node in world.nodes}
    return next(node for node in world.nodes if node.node_id == home)


def _part(world: World, one: VirtualDaemon, other: VirtualDaemon) -> None:
    world.network.cut(one.host, other.host)
    world.network.cut(other.host, one.host)


async def _answer(world: World, method: str, voter: VirtualDaemon) -> None:
    """Returns once this voter has answered yes, or never will."""
    end_s = world.loop.time() + PATIENCE_S
    while (wait_s := end_s - world.loop.time()) > 0:
        answer = world.next_answer(method)
        await asyncio.wait({answer}, timeout=wait_s)
        if answer.done() and answer.result() is voter:
            return


A_VOTE = Scene(size=3, play=_a_vote)
A_PROMISE = Scene(size=4, play=_a_promise)
A_FULL_HOME = Scene(size=2, play=_a_full_home)
