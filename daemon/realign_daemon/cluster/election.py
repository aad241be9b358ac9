"""Leadership: which node plans, as this node believes. Pure: what the members say goes in, a belief comes out.

The leader is soft: it only plans and schedules, so two of them in two halves of a cut network cost double work and
nothing else, and no quorum is asked. What must hold: all nodes that hear each other soon agree; an incumbent is not
disturbed by nodes that come and go; a term never goes back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from realign_daemon.cluster.facts import NodeFacts, NodeId
from realign_daemon.cluster.protocol import MAX_PROTOCOL
from realign_daemon.cluster.timing import DEFAULT, Timing

BUCKET = 1.25  # speeds within 25 % are equal, so that the noise of a benchmark moves no leader


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Rank:
    """How fit a node is to lead; the least is the fittest. Ties end at the node id, which is never equal."""

    is_witness: bool = False  # it never leads, and nobody waits for it
    protocol: int = MAX_PROTOCOL  # during an upgrade an older node leads, lest it follow what it cannot read
    instability: int  # 0 has no battery, 1 has one and is on AC, 2 is on battery
    slowness: int  # minus the speed, in steps of 25 %
    node: NodeId

    @property
    def unfitness(self) -> tuple[int, int]:
        """What a leader may be deposed for: an equal one that is faster leaves it in peace."""
        return self.protocol, self.instability


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What a node says in its last beat, and its rank."""

    rank: Rank
    term: int
    leader: NodeId | None

    @property
    def node(self) -> NodeId:
        """Whose voice it is."""
        return self.rank.node


@dataclass(frozen=True, slots=True, kw_only=True)
class Leadership:
    """This node's belief. `term` is the highest ever seen, by it or before its last start; it must be kept on disk.

    `outranked_since_s` is when this node found itself older or steadier than the leader. Until `silent_until_s` it
    claims nothing. Both in continuous seconds.
    """

    term: int = 0
    leader: NodeId | None = None
    heard_directly: bool = False  # the leader is this node, or present; else another node's word is taken
    outranked_since_s: float | None = None
    silent_until_s: float = 0.0

    @property
    def announced(self) -> NodeId | None:
        """The leader that this node may name in a beat: one that it knows of by itself."""
        return self.leader if self.heard_directly else None


def rank_of(facts: NodeFacts) -> Rank:
    """The rank that follows from a node's facts. A node that was not measured yet is slower than any that was."""
    speeds = facts.benchmark.gflops.values() if facts.benchmark else ()
    fastest = max((speed for speed in speeds if speed > 0), default=0.0)
    return Rank(
        is_witness=facts.witness,
        protocol=facts.protocol,
        instability=0 if not facts.portable else 2 if facts.power.source == "battery" else 1,
        slowness=-math.floor(math.log(fastest, BUCKET)) if fastest else 1_000,
        node=facts.node_id,
    )


def restarted(*, term: int, knows_peers: bool, now_s: float, timing: Timing = DEFAULT) -> Leadership:
    """The belief to start from. A node that knew others listens to them first, lest its restart depose their leader."""
    return Leadership(term=term, silent_until_s=now_s + timing.suspect_s if knows_peers else now_s)


def paused(state: Leadership, me: NodeId, now_s: float, timing: Timing = DEFAULT) -> Leadership:
    """The belief after this node stood still long enough for others to give it up: a leader steps down and listens."""
    return replace(
        state,
        leader=None if state.leader == me else state.leader,
        heard_directly=state.heard_directly and state.leader != me,
        silent_until_s=now_s + timing.suspect_s,
        outranked_since_s=None,
    )


def handed_over(state: Leadership, to: NodeId) -> Leadership:
    """The belief of a leader that was asked to have another node lead, which hears of it and claims the term."""
    return replace(state, term=state.term + 1, leader=to, heard_directly=True, outranked_since_s=None)


def decide(state: Leadership, me: Rank, voices: Sequence[Voice], now_s: float, timing: Timing = DEFAULT) -> Leadership:
    """The belief at this moment, from the voices of all other nodes that are present (not given up).

    The highest term with a credible leader is followed; of equal terms, the leader of the better rank. Where no leader
    is left, the best-ranked node present claims the next term and the others wait for it. A belief with a new term or
    leader must be on disk before anybody hears of it.
    """
    seen = max((state.term, *(voice.term for voice in voices)))
    is_offered = any(voice.node == state.leader and (voice.leader, voice.term) == (me.node, seen) for voice in voices)
    if is_offered and not me.is_witness:
        return _led_by_me(state, me, seen)  # handed over
    followed = _followed(state, me, voices)
    if followed is None:
        best = min((me, *(voice.rank for voice in voices)))
        if best == me and not me.is_witness and now_s >= state.silent_until_s:
            return _led_by_me(state, me, seen + 1)
        return replace(state, term=seen, leader=None, heard_directly=False, outranked_since_s=None)
    term, leader = followed
    if leader == me.node:
        # Somebody saw a higher term whose leader is gone: the incumbent goes above it, so that beliefs can be compared.
        return _led_by_me(state, me, term if term == seen else seen + 1)
    direct = any(voice.node == leader for voice in voices)
    following = replace(state, term=seen, leader=leader, heard_directly=direct)
    return _challenged(following, me, voices, now_s, timing)


def _led_by_me(state: Leadership, me: Rank, term: int) -> Leadership:
    return replace(state, term=term, leader=me.node, heard_directly=True, outranked_since_s=None)


def _followed(state: Leadership, me: Rank, voices: Sequence[Voice]) -> tuple[int, NodeId] | None:
    """The best credible claim: term and leader."""
    said = {voice.node: voice for voice in voices}
    ranks = {voice.node: voice.rank for voice in voices} | {me.node: me}
    claims = {(voice.term, voice.leader) for voice in voices if voice.leader and voice.leader != me.node}
    if state.leader == me.node or state.leader in said:
        claims.add((state.term, state.leader))  # pyright: ignore[reportArgumentType]
    credible = [(term, leader) for term, leader in claims if not _denied(said.get(leader), term, leader)]

    def weight(claim: tuple[int, NodeId]) -> tuple[int, bool, Rank]:
        term, leader = claim
        # A leader that only others hear counts as the better one: they have compared, this node cannot.
        return -term, leader in ranks, ranks.get(leader, me)

    return min(credible, key=weight, default=None)


def _denied(voice: Voice | None, term: int, leader: NodeId) -> bool:
    """Whether the alleged leader itself says otherwise, in this term or a later one."""
    return voice is not None and voice.term >= term and voice.leader != leader


def _challenged(state: Leadership, me: Rank, voices: Sequence[Voice], now_s: float, timing: Timing) -> Leadership:
    """Takes over from a newer or less steady leader once this node was the best of all for long enough."""
    ranks = [voice.rank for voice in voices]
    leader = next((rank for rank in ranks if rank.node == state.leader), None)
    if leader is None or me.unfitness >= leader.unfitness or me != min(me, *ranks):
        return state if state.outranked_since_s is None else replace(state, outranked_since_s=None)
    since_s = now_s if state.outranked_since_s is None else state.outranked_since_s
    if now_s - since_s > timing.outrank_s:
        return _led_by_me(state, me, state.term + 1)
    return replace(state, outranked_since_s=since_s)
