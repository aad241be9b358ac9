"""Acceptors and proposers under any order of deliveries, losses, repetitions and crashes that hypothesis finds."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from realign_daemon.decision import acceptor
from realign_daemon.decision.acceptor import Acceptor
from realign_daemon.decision.ballot import NEVER, Ballot
from realign_daemon.decision.messages import Accept, Accepted, Prepare, Promised, Reply, Request
from realign_daemon.decision.proposer import (
    Answered,
    Ask,
    Claim,
    Claimed,
    Concluded,
    Effect,
    Event,
    Proposal,
    Rested,
    Resting,
    State,
    Unanswered,
    start,
    step,
)
from realign_daemon.decision.quorum import Electorate

names = st.sampled_from("abcd")
picks = st.integers(0, 10**6)
Letter = tuple[str, str, Request | Reply]  # from, to, what; requests go to an acceptor, replies to a proposer


class DecisionMachine(RuleBasedStateMachine):
    """One instance. Disks do not fail; everything else does."""

    @initialize(size=st.integers(2, 4), home=picks)
    def begin(self, size: int, home: int) -> None:
        voters = tuple("abcd"[:size])
        self.electorate = Electorate(home=voters[home % size], voters=voters)
        self.acceptors = {name: Acceptor() for name in "abcd"}
        self.proposers: dict[str, tuple[Proposal, State]] = {}
        self.letters: list[Letter] = []
        self.claimed: list[Ballot] = []
        self.decided: set[bytes] = set()
        self.votes: dict[tuple[Ballot, bytes], set[str]] = {}
        self.proposed = 0

    @rule(node=names)
    def propose(self, node: str) -> None:
        """Every proposal wants another value. A node that proposes again has forgotten its earlier proposal."""
        self.proposed += 1
        value = b"value %d" % self.proposed
        proposal = Proposal(node=node, job_id="j", instance=0, config_epoch=0, electorate=self.electorate, value=value)
        state, effects = start()
        self.proposers[node] = proposal, state
        self.perform(node, effects)

    @precondition(lambda self: self.letters)
    @rule(pick=picks, is_repeated=st.booleans())
    def deliver(self, pick: int, *, is_repeated: bool) -> None:
        sender, receiver, content = self.take(pick, is_repeated=is_repeated)
        if not isinstance(content, Prepare | Accept):
            self.feed(receiver, Answered(node=sender, reply=content))
            return
        before = self.acceptors[receiver]
        if isinstance(content, Prepare):
            after, reply = acceptor.prepare(before, content.ballot)
        else:
            after, reply = acceptor.accept(before, content.ballot, content.value)
            if isinstance(reply, Accepted):
                self.votes.setdefault((content.ballot, content.value), set()).add(receiver)
        assert after.promised >= before.promised
        self.acceptors[receiver] = after
        self.letters.append((receiver, sender, reply))

    @precondition(lambda self: self.letters)
    @rule(pick=picks)
    def lose(self, pick: int) -> None:
        """The sender of a lost request hears that it stays unanswered; a lost reply just does not come."""
        sender, receiver, content = self.take(pick, is_repeated=False)
        if isinstance(content, Prepare | Accept):
            self.feed(sender, Unanswered(node=receiver, request=content))

    @rule(node=names)
    def crash(self, node: str) -> None:
        self.proposers.pop(node, None)

    @rule(node=names)
    def wake(self, node: str) -> None:
        if node in self.proposers and isinstance(self.proposers[node][1], Resting):
            self.feed(node, Rested())

    @rule(node=names)
    def finish(self, node: str) -> None:
        """Without trouble one proposer gets its instance decided."""
        self.propose(node)
        for _ in range(200):
            if node not in self.proposers:
                return
            self.wake(node)
            if self.letters:
                self.deliver(0, is_repeated=False)
        raise AssertionError("nothing was decided")

    def take(self, pick: int, *, is_repeated: bool) -> Letter:
        index = pick % len(self.letters)
        return self.letters[index] if is_repeated else self.letters.pop(index)

    def feed(self, node: str, event: Event) -> None:
        if node not in self.proposers:
            return
        proposal, state = self.proposers[node]
        state, effects = step(proposal, state, event)
        if isinstance(state, Concluded):
            del self.proposers[node]
            self.decided.add(state.decision.value)
            self.acceptors[node] = acceptor.learn(self.acceptors[node], state.decision)
            return
        self.proposers[node] = proposal, state
        self.perform(node, effects)

    def perform(self, node: str, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Claim(above=above):
                    self.acceptors[node], reply = acceptor.claim(self.acceptors[node], node, 0, above)
                    if isinstance(reply, Promised):
                        self.claimed.append(reply.ballot)
                    self.feed(node, Claimed(reply=reply))
                case Ask(node=voter, request=request):
                    self.letters.append((node, voter, request))
                case _:
                    pass  # a Rest ends by the rule `wake`

    @invariant()
    def one_value_is_decided(self) -> None:
        majorities = {value for (_, value), voters in self.votes.items() if self.electorate.is_majority(voters)}
        assert len(majorities | self.decided) <= 1

    @invariant()
    def a_ballot_is_claimed_once_and_carries_one_value(self) -> None:
        assert len(set(self.claimed)) == len(self.claimed)
        assert len({ballot for ballot, _ in self.votes}) == len(self.votes)
        assert NEVER not in self.claimed


TestDecisionMachine = DecisionMachine.TestCase
TestDecisionMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
