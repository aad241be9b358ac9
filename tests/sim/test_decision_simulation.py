"""Thousands of small clusters that decide how a job ends, in trouble: does any end one in two ways?

A harness that finds nothing proves nothing, so every promise of the proof is broken once, and must be missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from tests.sim.decision_node import Node, Sabotage
from tests.sim.decision_trouble import calmed, troubled
from tests.sim.decision_world import Divergence, World

from realign_daemon.decision import acceptor
from realign_daemon.decision.acceptor import Acceptor
from realign_daemon.decision.ballot import NEVER, Ballot
from realign_daemon.decision.messages import Accepted, Promised, Reply
from realign_daemon.decision.quorum import Electorate
from realign_daemon.decision.value import Ended, Rehomed, value_to_bytes
from realign_daemon.engine.api import Sha256

GONE = 0.15  # of the nodes never come back
DONE = Ended(state="completed", manifest=Sha256("d" * 64))


def survived(seed: int, size: int) -> World:
    world = troubled(seed, size)
    return calmed(world, [name for name in world.nodes if world.chance.random() < GONE])


@pytest.mark.parametrize(("size", "seeds"), [(1, 100), (2, 2000), (3, 1200), (4, 500), (5, 250)])
def test_no_trouble_ends_a_job_twice_and_the_living_end_it_where_they_are_a_majority(size: int, seeds: int) -> None:
    for seed in range(seeds):
        survived(seed, size)  # raises Divergence or Stuck


def test_the_worlds_are_troubled_enough_to_prove_something() -> None:
    seen = Counter[str]()
    for seed in range(200):
        world = survived(seed, 4)
        seen["crashed"] += any(node.life for node in world.nodes.values())
        seen["moved"] += any(instance for instance, _ in world.decided)
        seen["adopted"] += any(config_epoch for _, config_epoch in world.decided)
        seen["lost a node"] += bool(world.dead)
        seen["contended"] += any(
            held.promised.epoch > 2 for node in world.nodes.values() for held in node.disk.values()
        )
    assert min(seen[what] for what in ("crashed", "moved", "adopted", "lost a node", "contended")) >= 10, seen


def test_a_seed_gives_the_same_world_again() -> None:
    assert survived(7, 4).decided == survived(7, 4).decided


@pytest.mark.parametrize(
    ("sabotage", "size", "seeds"),
    [
        (Sabotage.FORGET_EVERYTHING, 2, 50),
        (Sabotage.FORGET_EVERYTHING, 3, 100),
        (Sabotage.FORGET_VOTES, 2, 500),
        (Sabotage.FORGET_VOTES, 3, 1000),
        (Sabotage.FORGET_PROMISES, 3, 10_000),  # about one seed in 2,000
        (Sabotage.ONE_IS_A_MAJORITY, 2, 20),
        (Sabotage.REPLY_BEFORE_COMMIT, 2, 1000),
        (Sabotage.REPLY_BEFORE_COMMIT, 3, 2000),
        (Sabotage.CLAIM_WITHOUT_COMMIT, 3, 500),
        (Sabotage.IGNORE_VOTES, 2, 100),
        (Sabotage.IGNORE_VOTES, 3, 100),
    ],
)
def test_a_broken_promise_is_found_out(sabotage: Sabotage, size: int, seeds: int) -> None:
    assert any(diverges(seed, size, sabotage) for seed in range(seeds))


@pytest.mark.parametrize(("size", "seeds"), [(2, 2000), (3, 3000), (4, 500)])
def test_a_voter_that_loses_its_ledger_and_knows_it_ends_no_job_twice(size: int, seeds: int) -> None:
    """The same losses that nobody knows of are found out; see FORGET_EVERYTHING."""
    seen = Counter[str]()
    for seed in range(seeds):
        world = troubled(seed, size, Sabotage.LOSE_LEDGER)  # raises Divergence
        seen["lost"] += any(node.ledger for node in world.nodes.values())
        seen["decided by who lost one"] += any(node.ledger and node.adopted for node in world.nodes.values())
        seen["decided"] += bool(world.decided)
    assert min(seen[what] for what in ("lost", "decided by who lost one", "decided")) >= 20, seen


def diverges(seed: int, size: int, sabotage: Sabotage) -> bool:
    try:
        troubled(seed, size, sabotage)
    except Divergence:
        return True
    return False


@pytest.mark.parametrize("seed", range(20))
def test_the_home_of_two_ends_its_job_alone(seed: int) -> None:
    world = World(seed, 2)
    world.heal(dead="b")
    world.propose(world.nodes["a"], DONE)
    world.run_until(1_000)
    assert world.decided == {(0, 0): value_to_bytes(DONE)}


@pytest.mark.parametrize("seed", range(20))
def test_the_other_of_two_decides_nothing_without_the_home_and_what_the_home_decides_when_it_is_back(seed: int) -> None:
    world = World(seed, 2)
    home, other = world.nodes.values()
    world.heal(dead="a")
    world.propose(other, DONE)
    world.run_until(3_000)
    assert world.decided == {}
    world.heal()
    calmed(world)
    assert (0, 0) in world.decided
    assert home.charter(world.electorate) is other.charter(world.electorate) is None


@pytest.mark.parametrize("seed", range(20))
def test_with_a_witness_the_other_of_two_becomes_the_home_and_the_old_one_hears_of_it(seed: int) -> None:
    world = World(seed, 3)
    moved = Rehomed(home="b", voters=("a", "b", "c"))
    world.heal()
    world.cut("a")
    world.propose(world.nodes["b"], moved)
    world.propose(world.nodes["a"], DONE)
    world.run_until(3_000)
    assert world.decided == {(0, 0): value_to_bytes(moved)}
    world.heal()
    world.run_until(6_000)
    decision = world.nodes["a"].disk[0].decision
    assert decision is not None
    assert decision.value == value_to_bytes(moved)


@pytest.mark.parametrize("seed", range(20))
def test_two_people_who_adopt_one_job_in_a_cut_end_with_one_home(seed: int) -> None:
    world = World(seed, 3)
    world.heal(dead="a")
    world.cut("b")
    world.adopt(world.nodes["b"])
    world.adopt(world.nodes["c"])
    world.run_until(100)
    assert len(world.decided) == 2
    calmed(world, dead="a")
    assert world.nodes["b"].charter(world.electorate) == world.nodes["c"].charter(world.electorate)


@pytest.mark.parametrize(("sabotage", "values"), [(Sabotage.NONE, 1), (Sabotage.FORGET_PROMISES, 2)])
def test_the_vote_that_a_forgotten_promise_should_have_prevented_ends_a_job_twice(
    sabotage: Sabotage, values: int
) -> None:
    """b promises a's ballot, then c's higher one, crashes, and is asked for its vote in a's."""
    electorate = Electorate(home="a", voters=("a", "b", "c"))
    nodes = {name: Node(name) for name in electorate.voters}

    def said(name: str, asked: Callable[..., tuple[Acceptor, Reply]], *about: object) -> Reply:
        nodes[name].disk[0], reply = asked(nodes[name].held(0), *about)
        return reply

    values_of = {"a": b"complete", "c": b"failed"}
    ballots = {name: Ballot(epoch=1, node=name) for name in values_of}
    for name, ballot in ballots.items():
        assert said(name, acceptor.claim, name, 0, NEVER) == Promised(ballot=ballot, vote=None)
        assert said("b", acceptor.prepare, ballot) == Promised(ballot=ballot, vote=None)
    nodes["b"].crash(sabotage)

    decided: set[bytes] = set()
    for name, ballot in ballots.items():
        replies = {voter: said(voter, acceptor.accept, ballot, values_of[name]) for voter in (name, "b")}
        if electorate.is_majority([voter for voter, reply in replies.items() if isinstance(reply, Accepted)]):
            decided.add(values_of[name])
    assert len(decided) == values
