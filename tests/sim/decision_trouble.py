"""What goes wrong in a simulated cluster that decides, and how it must end once that is over."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection

from tests.sim.decision_node import Sabotage
from tests.sim.decision_world import World

TROUBLE_STEPS = 400
RUSH_STEPS = 60  # in which every node proposes for the first time
CALM_STEPS = 20_000  # a healed cluster is done after a few hundred
GOSSIP_STEPS = 60
ONE_WAY = 0.3  # of the cuts
ADOPTION = 0.3  # of the worlds


class Stuck(Exception):
    """A majority lives, the trouble is over, and nothing is decided."""


def troubled(seed: int, size: int, sabotage: Sabotage = Sabotage.NONE) -> World:
    """A world after its trouble: all proposed, some crashed, some were cut off, perhaps people adopted the job."""
    world = World(seed, size, sabotage)
    chance, nodes = world.chance, list(world.nodes.values())

    def sometime(act: Callable[[], None], *, after: float = 0) -> None:
        world.at(after + world.within(TROUBLE_STEPS - after), act)

    def split() -> None:
        world.cut(chance.sample(list(world.nodes), 1 + int(world.within(size - 1))), one_way=chance.random() < ONE_WAY)
        world.at(world.within(150), world.cuts.clear)

    for node in nodes:
        world.at(world.within(RUSH_STEPS), functools.partial(world.propose, node))
        sometime(functools.partial(world.propose, node))
    for _ in range(int(world.within(3 * size))):
        world.at(
            world.within(chance.choice((2 * RUSH_STEPS, TROUBLE_STEPS))),
            functools.partial(world.fall, chance.choice(nodes)),
        )
    for _ in range(int(world.within(3))):
        sometime(split)
    for _ in range(size):
        sometime(lambda: world.gossip(chance.choice(nodes), chance.choice(nodes).name), after=100)
    if chance.random() < ADOPTION:
        for _ in range(2 * size):
            sometime(lambda: world.adopt(chance.choice(nodes)), after=20)
    world.run_until(TROUBLE_STEPS)
    return world


def calmed(world: World, dead: Collection[str] = ()) -> World:
    """The world once all who live know the same, and nothing is open that they are a majority for.

    Raises:
        Stuck: that takes too long.
    """
    world.heal(dead)
    end = world.now + CALM_STEPS
    while not world.is_settled():
        if world.now > end:
            raise Stuck(f"{world.decided} with {world.living()} alive")
        for node in world.nodes.values():
            world.propose(node)
            world.gossip(node, world.chance.choice(list(world.nodes)))
        world.run_until(world.now + GOSSIP_STEPS)
    return world
