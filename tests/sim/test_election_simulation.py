"""Many small clusters in virtual time, with loss, cuts, sleep and restarts: do the nodes end up with one leader?"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from realign_daemon.cluster import election, membership
from realign_daemon.cluster.beats import Beat
from realign_daemon.cluster.facts import BootId, HostBenchmark, NodeFacts, NodeId
from realign_daemon.cluster.membership import Membership
from realign_daemon.cluster.timing import DEFAULT

TICK_S = DEFAULT.tick_s
CALM_S = 25.0  # dead_s, the silence of a restarted node, a round of beats, and room
TROUBLE_S = 120.0


@dataclass
class SimulatedNode:
    facts: NodeFacts
    clock_skew_s: float
    membership: Membership = field(default_factory=Membership)
    leadership: election.Leadership = field(default_factory=election.Leadership)
    boot: int = 0
    sequence: int = 0
    beat_due_s: float = 0.0
    asleep_until_s: float = 0.0
    ever_met: bool = False
    terms: list[int] = field(default_factory=list[int])

    @property
    def id(self) -> NodeId:
        return self.facts.node_id

    def restart(self, now_s: float) -> None:
        self.boot += 1
        self.sequence = 0
        self.membership = Membership()
        self.leadership = election.restarted(
            term=self.leadership.term, knows_peers=self.ever_met, now_s=now_s + self.clock_skew_s
        )

    def tick(self, now_s: float) -> Beat | None:
        """What the loop of a ClusterView does, without disk and network."""
        now_s += self.clock_skew_s
        gap_s = now_s - (self.membership.ticked_at_s or now_s)
        self.membership, _ = membership.tick(self.membership, now_s)
        believed = self.leadership
        if gap_s > DEFAULT.suspect_s:
            believed = election.paused(believed, self.id, now_s)
        voices = [
            election.Voice(rank=election.rank_of(m.beat.facts), term=m.beat.term, leader=m.beat.leader)
            for m in self.membership.present
        ]
        decided = election.decide(believed, election.rank_of(self.facts), voices, now_s)
        changed = (decided.term, decided.leader) != (self.leadership.term, self.leadership.leader)
        self.leadership = decided
        self.terms.append(decided.term)
        if now_s < self.beat_due_s and not changed:
            return None
        self.beat_due_s = now_s + DEFAULT.beat_s
        self.sequence += 1
        return Beat(
            node=self.id,
            boot=BootId(str(self.boot)),
            sequence=self.sequence,
            term=decided.term,
            leader=decided.announced,
            leader_since_unix_s=0.0,
            facts=self.facts,
        )


class Simulation:
    """A cluster whose network and luck come from one seed."""

    def __init__(self, seed: int, size: int) -> None:
        self.chance = random.Random(seed)
        self.now_s = 0.0
        self.nodes = [
            SimulatedNode(
                facts=NodeFacts(
                    node_id=NodeId(f"n{index}"),
                    name=f"n{index}",
                    portable=self.chance.random() < 0.4,
                    benchmark=HostBenchmark(gflops={"float32": self.chance.choice([100.0, 110.0, 900.0])}),
                ),
                clock_skew_s=self.chance.uniform(0, 1e6),
            )
            for index in range(size)
        ]
        self.side = dict.fromkeys((node.id for node in self.nodes), 0)
        self.loss = 0.0
        self.in_flight: list[tuple[float, int, SimulatedNode, Beat]] = []
        self.sent = 0

    def run(self, seconds: float, *, trouble: bool = False) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            if trouble and self.chance.random() < 0.02:
                self._trouble()
            self._deliver()
            for node in self.chance.sample(self.nodes, len(self.nodes)):
                if self.now_s >= node.asleep_until_s and (beat := node.tick(self.now_s)):
                    self._send(node, beat)
            self.now_s += TICK_S

    def heal(self) -> None:
        self.side = dict.fromkeys(self.side, 0)
        self.loss = 0.0
        for node in self.nodes:
            node.asleep_until_s = 0.0

    def _trouble(self) -> None:
        match self.chance.choice(["cut", "heal", "loss", "sleep", "restart"]):
            case "cut":
                self.side = {node: self.chance.randrange(2) for node in self.side}
            case "loss":
                self.loss = self.chance.choice([0.0, 0.1, 0.3])
            case "sleep":
                self.chance.choice(self.nodes).asleep_until_s = self.now_s + self.chance.uniform(0.5, 30)
            case "restart":
                self.chance.choice(self.nodes).restart(self.now_s)
            case _:
                self.side = dict.fromkeys(self.side, 0)

    def _send(self, sender: SimulatedNode, beat: Beat) -> None:
        for node in self.nodes:
            if node is not sender and self.side[node.id] == self.side[sender.id] and self.chance.random() >= self.loss:
                self.sent += 1
                self.in_flight.append((self.now_s + self.chance.uniform(0, 0.3), self.sent, node, beat))

    def _deliver(self) -> None:
        due = sorted((item for item in self.in_flight if item[0] <= self.now_s), key=lambda item: item[:2])
        self.in_flight = [item for item in self.in_flight if item[0] > self.now_s]
        for _, _, node, beat in due:
            if self.now_s >= node.asleep_until_s:
                node.ever_met = True
                node.membership, _ = membership.heard(node.membership, beat, self.now_s + node.clock_skew_s)

    def beliefs(self) -> set[tuple[int, NodeId | None]]:
        return {(node.leadership.term, node.leadership.leader) for node in self.nodes}


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_after_any_trouble_all_nodes_follow_one_leader_who_knows_it(size: int) -> None:
    for seed in range(40):
        simulation = Simulation(seed, size)
        simulation.run(TROUBLE_S, trouble=True)
        simulation.heal()
        simulation.run(CALM_S)

        beliefs = simulation.beliefs()

        assert len(beliefs) == 1, f"seed {seed}: {beliefs}"
        ((_, leader),) = beliefs
        assert leader in {node.id for node in simulation.nodes}, f"seed {seed}"


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_term_never_goes_back_whatever_happens(size: int) -> None:
    for seed in range(100, 120):
        simulation = Simulation(seed, size)
        simulation.run(TROUBLE_S, trouble=True)

        for node in simulation.nodes:
            assert node.terms == sorted(node.terms), f"seed {seed}, {node.id}"


@pytest.mark.parametrize("size", [2, 3, 5])
def test_in_a_calm_cluster_the_leader_stays_once_it_is_the_steadiest(size: int) -> None:
    for seed in range(20):
        simulation = Simulation(seed, size)
        simulation.run(DEFAULT.outrank_s + CALM_S)  # a steadier node may take over once
        before = simulation.beliefs()

        simulation.run(60.0)

        assert simulation.beliefs() == before, f"seed {seed}"
        ((_, leader),) = before
        steadiness = {node.id: election.rank_of(node.facts).instability for node in simulation.nodes}
        assert leader is not None
        assert steadiness[leader] == min(steadiness.values()), f"seed {seed}"


@pytest.mark.parametrize("lossy", [False, True])
def test_a_new_leader_is_there_within_eight_seconds_of_a_death(lossy: bool) -> None:
    for seed in range(30):
        simulation = Simulation(seed, 3)
        simulation.run(DEFAULT.outrank_s + CALM_S)
        ((_, dead),) = simulation.beliefs()
        simulation.loss = 0.05 if lossy else 0.0
        simulation.nodes = [node for node in simulation.nodes if node.id != dead]

        simulation.run(8.0 if not lossy else 10.0)

        ((_, leader),) = simulation.beliefs()
        assert leader not in (dead, None), f"seed {seed}"
