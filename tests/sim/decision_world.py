"""A small cluster that decides how one job ends, in virtual time: lost, doubled and late messages, crashes, cuts.

The acceptors and proposers are the real ones. All luck comes from one seed. A sabotage breaks one of the promises that
the proof rests on, so that the tests can show that they would notice.
"""

from __future__ import annotations

import functools
import heapq
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import assert_never

from tests.sim.decision_node import Node, Sabotage

from realign_daemon.decision import acceptor
from realign_daemon.decision.acceptor import Acceptor
from realign_daemon.decision.ballot import Ballot, next_config_epoch
from realign_daemon.decision.messages import Accept, Decision, Known, Prepare, Promised, Reply, Request
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
from realign_daemon.decision.quorum import Electorate
from realign_daemon.decision.value import Ended, Rehomed, Value, value_to_bytes
from realign_daemon.engine.api import Sha256

JOB = "job"
LOSS = 0.10
DUPLICATION = 0.05
LATE = (0.10, 0.40)  # of the messages take up to 80 steps, the others up to 10; one of the two in each world
ANSWER_STEPS = 40  # after which a question counts as unanswered; its answer may still come
FRAILTY = (0.0, 0.1)  # of the commits are followed by a crash: just when somebody relies on what it said
LOST = 0.3  # of the crashes take the ledger with them, where any do
LAST_INSTANCE = 3  # a job is moved no more often than this
REHOMED = 0.3  # of the proposals
VOTER = 0.8  # of the nodes, when a job is moved

Change = Callable[[Acceptor], tuple[Acceptor, Reply]]


class Divergence(Exception):
    """Two values were decided in one instance and config epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaxElectorate(Electorate):
    def is_majority(self, nodes: Collection[str]) -> bool:
        return any(voter in nodes for voter in self.voters)


def _ignored(reply: Reply) -> None:
    pass


class World:
    """`size` nodes named a, b, …; a is the first home."""

    def __init__(self, seed: int, size: int, sabotage: Sabotage = Sabotage.NONE) -> None:
        self.chance = random.Random(seed)
        self.sabotage = sabotage
        self.late = self.chance.choice(LATE)
        self.frailty = self.chance.choice(FRAILTY)
        self.nodes = {name: Node(name) for name in "abcde"[:size]}
        self.electorate = Electorate(home="a", voters=tuple(self.nodes))
        self.now = 0
        self.decided: dict[tuple[int, int], bytes] = {}  # by instance and config epoch
        self.cuts: set[tuple[str, str]] = set()  # from, to
        self.dead: frozenset[str] = frozenset()  # for ever
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0
        self._values = 0

    # Time

    def at(self, steps: float, act: Callable[[], None]) -> None:
        self._planned += 1
        heapq.heappush(self._agenda, (self.now + int(steps), self._planned, act))

    def run_until(self, end: int) -> None:
        while self._agenda and self._agenda[0][0] <= end:
            self.now, _, act = heapq.heappop(self._agenda)
            act()
        self.now = end

    def within(self, steps: float) -> float:
        return self.chance.random() * steps

    def delay(self, *, usual: float, late: float) -> float:
        return 1 + self.within(late if self.chance.random() < self.late else usual)

    # What holds

    def living(self) -> tuple[str, ...]:
        return tuple(node.name for node in self.nodes.values() if node.is_up)

    def reaches(self, node: Node, other: str) -> bool:
        return self.nodes[other].is_up and not {(node.name, other), (other, node.name)} & self.cuts

    def is_settled(self) -> bool:
        living = self.living()
        charters = {self.nodes[name].charter(self.electorate) for name in living}
        return len(charters) <= 1 and not any(c is not None and c.electorate.is_majority(living) for c in charters)

    # What goes wrong

    def crash(self, node: Node) -> None:
        loses = self.sabotage is not Sabotage.LOSE_LEDGER or self.chance.random() < LOST
        node.crash(self.sabotage if loses else Sabotage.NONE)

    def restart(self, node: Node) -> None:
        node.is_up = node.name not in self.dead

    def fall(self, node: Node) -> None:
        """A crash, and a restart soon after."""
        self.crash(node)
        self.at(self.delay(usual=5, late=100), lambda: self.restart(node))

    def cut(self, side: Collection[str], *, one_way: bool = False) -> None:
        rest = [name for name in self.nodes if name not in side]
        self.cuts |= {(left, right) for left in side for right in rest}
        if not one_way:
            self.cuts |= {(right, left) for left in side for right in rest}

    def heal(self, dead: Collection[str] = ()) -> None:
        """Ends the cuts and the worst delays; every node is up but the dead."""
        self.late, self.frailty = min(LATE), min(FRAILTY)
        self.cuts.clear()
        self.dead = frozenset(dead)
        for node in self.nodes.values():
            if node.name in dead:
                self.crash(node)
            self.restart(node)

    # The network

    def send(self, sender: str, receiver: str, arrive: Callable[[Node], None]) -> None:
        copies = 0 if self.chance.random() < LOSS else 2 if self.chance.random() < DUPLICATION else 1
        for _ in range(copies):
            self.at(self.delay(usual=10, late=80), functools.partial(self._arrive, sender, receiver, arrive))

    def _arrive(self, sender: str, receiver: str, arrive: Callable[[Node], None]) -> None:
        node = self.nodes[receiver]
        if node.is_up and (sender, receiver) not in self.cuts:
            arrive(node)

    # Acceptors

    def transact(self, node: Node, instance: int, change: Change, done: Callable[[Reply], None] = _ignored) -> None:
        """Commits the change in its turn, then answers. A crash before that leaves no trace."""
        life = node.life
        node.disk_free_at = max(node.disk_free_at, self.now) + self.delay(usual=3, late=40)
        is_early = self.sabotage is Sabotage.REPLY_BEFORE_COMMIT
        if is_early:
            node.memory[instance], reply = change(node.memory.get(instance) or node.held(instance))
            done(reply)

        def commit() -> None:
            if node.life == life:
                node.disk[instance], reply = change(node.held(instance))
                if not is_early:
                    done(reply)
                if self.chance.random() < self.frailty:
                    self.fall(node)

        self.at(node.disk_free_at - self.now, commit)

    def answer(self, node: Node, request: Request, done: Callable[[Reply], None]) -> None:
        match request:
            case Prepare(ballot=ballot):
                self.transact(node, request.instance, lambda held: acceptor.prepare(held, ballot), done)
            case Accept(ballot=ballot, value=value):
                self.transact(node, request.instance, lambda held: acceptor.accept(held, ballot, value), done)
            case _:
                assert_never(request)

    def claim(self, node: Node, proposal: Proposal, above: Ballot, done: Callable[[Reply], None]) -> None:
        def change(held: Acceptor) -> tuple[Acceptor, Reply]:
            after, reply = acceptor.claim(held, node.name, proposal.config_epoch, above)
            return (held if self.sabotage is Sabotage.CLAIM_WITHOUT_COMMIT else after), reply

        self.transact(node, proposal.instance, change, done)

    def learn(self, node: Node, instance: int, decision: Decision) -> None:
        if (held := node.disk.get(instance)) is None or held.decision != decision:
            self.transact(node, instance, lambda held: (acceptor.learn(held, decision), Known(decision=decision)))

    def gossip(self, node: Node, other: str) -> None:
        """Tells another node what this one knows, in the order of the instances, as the journal does."""
        known = [(instance, held.decision) for instance, held in sorted(node.disk.items()) if held.decision is not None]

        def arrive(receiver: Node) -> None:
            for instance, decision in known:
                self.learn(receiver, instance, decision)

        if known and node.is_up:
            self.send(node.name, other, arrive)

    # Proposers

    def propose(self, node: Node, value: Value | None = None) -> None:
        """Has the node ask for a value of its own, unless it is down, already asks, or knows the end of the job."""
        charter = node.charter(self.electorate)
        if not node.is_up or charter is None or charter.key in node.proposers:
            return
        electorate = charter.electorate
        if self.sabotage is Sabotage.ONE_IS_A_MAJORITY:
            electorate = LaxElectorate(home=electorate.home, voters=electorate.voters)
        proposal = Proposal(
            node=node.name,
            job_id=JOB,
            instance=charter.instance,
            config_epoch=charter.config_epoch,
            electorate=electorate,
            value=value_to_bytes(value or self.some_value(charter.instance)),
        )
        state, effects = start()
        node.proposers[charter.key] = proposal, state
        self._perform(node, charter.key, effects)

    def some_value(self, instance: int) -> Value:
        """One that nobody else proposes, or another home."""
        if instance < LAST_INSTANCE and self.chance.random() < REHOMED:
            voters = [name for name in self.nodes if self.chance.random() < VOTER] or list(self.nodes)
            return Rehomed(home=self.chance.choice(voters), voters=tuple(voters))
        self._values += 1
        return Ended(state="completed", manifest=Sha256(f"{self._values:064x}"))

    def adopt(self, node: Node) -> None:
        """A person makes the node the home of the job. Refused while the home can be reached."""
        charter = node.charter(self.electorate)
        if not node.is_up or charter is None or self.reaches(node, charter.electorate.home):
            return
        value = Rehomed(home=node.name, voters=tuple(name for name in self.nodes if self.reaches(node, name)))

        def change(held: Acceptor) -> tuple[Acceptor, Reply]:
            tag = f"{node.name} {node.ledger}" if node.ledger else node.name
            epoch = next_config_epoch(max(node.config_epochs()), tag)
            decision = Decision(config_epoch=epoch, value=value_to_bytes(value))
            self.check(charter.instance, decision)
            node.adopted |= {epoch}
            return acceptor.learn(held, decision), Known(decision=decision)

        self.transact(node, charter.instance, change)

    def conclude(self, node: Node, instance: int, decision: Decision) -> None:
        self.check(instance, decision)
        self.learn(node, instance, decision)

    def check(self, instance: int, decision: Decision) -> None:
        """The oracle: whoever believes that something is decided says so here."""
        first = self.decided.setdefault((instance, decision.config_epoch), decision.value)
        if first != decision.value:
            raise Divergence(f"{first!r} and {decision.value!r} in instance {instance}")

    def _feed(self, node: Node, life: int, key: tuple[int, int], event: Event) -> None:
        if node.life != life or key not in node.proposers:
            return
        proposal, state = node.proposers[key]
        if self.sabotage is Sabotage.IGNORE_VOTES:
            event = _without_vote(event)
        state, effects = step(proposal, state, event)
        if isinstance(state, Concluded):
            del node.proposers[key]
            self.conclude(node, proposal.instance, state.decision)
        else:
            node.proposers[key] = proposal, state
            self._perform(node, key, effects)

    def _perform(self, node: Node, key: tuple[int, int], effects: tuple[Effect, ...]) -> None:
        feed = functools.partial(self._feed, node, node.life, key)
        for effect in effects:
            match effect:
                case Claim(above=above):
                    self.claim(node, node.proposers[key][0], above, lambda reply: feed(Claimed(reply=reply)))
                case Ask(node=name, request=request) if name == node.name:
                    self.answer(node, request, lambda reply: feed(Answered(node=node.name, reply=reply)))
                case Ask(node=name, request=request):
                    self._ask(node, name, request, feed)
                case Rest(attempts=attempts):
                    self.at(self.within(10 * 2 ** min(attempts, 6)), functools.partial(feed, Rested()))
                case _:
                    assert_never(effect)

    def _ask(self, node: Node, name: str, request: Request, feed: Callable[[Event], None]) -> None:
        def asked(voter: Node) -> None:
            self.answer(voter, request, answered)

        def answered(reply: Reply) -> None:
            self.send(name, node.name, lambda _: feed(Answered(node=name, reply=reply)))

        self.send(node.name, name, asked)
        self.at(ANSWER_STEPS, lambda: feed(Unanswered(node=name, request=request)))


def _without_vote(event: Event) -> Event:
    match event:
        case Claimed(reply=Promised() as promise) | Answered(reply=Promised() as promise):
            return replace(event, reply=replace(promise, vote=None))
        case _:
            return event
