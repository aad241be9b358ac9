"""ClusterView: the cluster as this node sees it, kept up to date for as long as `run` runs."""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

import structlog

from realign_daemon.clock import Clock
from realign_daemon.cluster import election, membership
from realign_daemon.cluster.address_book import AddressBook
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.beats import Beat, JobDigest, KnownPeer
from realign_daemon.cluster.belief import Belief
from realign_daemon.cluster.discovery import Discovery, Finding
from realign_daemon.cluster.facts import NodeFacts, NodeId
from realign_daemon.cluster.greeting import Greeting
from realign_daemon.cluster.identity import Identity
from realign_daemon.cluster.membership import Membership
from realign_daemon.cluster.peers import Peers, Target
from realign_daemon.cluster.pulse import Pulse
from realign_daemon.cluster.refusals import Refused
from realign_daemon.cluster.standing import LeaderView, MemberView, standing
from realign_daemon.cluster.state import Store
from realign_daemon.cluster.subscription import ClusterEvent, LeaderChanged, Subscription
from realign_daemon.cluster.timing import DEFAULT, Timing
from realign_daemon.errors import WrongState
from realign_daemon.rpc.channels import Channel, OpenChannel, open_channel
from realign_daemon.rpc.kept_channel import keeping
from realign_daemon.shortage import outlasted

log = structlog.get_logger()

LOG_NAMES = {
    membership.PeerJoined: "peer.joined",
    membership.PeerSuspected: "peer.suspected",
    membership.PeerLost: "peer.lost",
    membership.PeerReturned: "peer.returned",
}


class ClusterView:
    """Membership and leadership, the beats of this node, and the channels to the others.

    The server that listens at `own_addresses` must have a ClusterServicer over this view, and must be up before `run`.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        tag: str,
        store: Store,
        clock: Clock,
        own_addresses: Callable[[], tuple[Address, ...]],
        self_facts: Callable[[], NodeFacts],
        jobs: Callable[[], Sequence[JobDigest]] = tuple,
        static_peers: Sequence[Address] = (),
        discovery: Discovery | None = None,
        open_channel: OpenChannel = open_channel,
        refuses: Callable[[NodeId], str | None] = lambda _: None,
        insecure_lan: bool = False,
        timing: Timing = DEFAULT,
    ) -> None:
        """`self_facts` and `jobs` are asked once a beat and must answer at once. Reads the store.

        `refuses` says why this node has nothing to do with another one, None when it may. Without insecure_lan no
        address beyond loopback is dialled until `meet_anew` says that there are certificates.
        """
        self.identity = identity
        self._tag = tag
        self._clock = clock
        self._find_addresses = own_addresses
        self._addresses: tuple[Address, ...] = ()
        self._self_facts = self_facts
        self._jobs = jobs
        self._discovery = discovery
        self._timing = timing
        self._open_channel = keeping(open_channel)  # callers hold them over an await
        self._insecure_lan = insecure_lan
        self._peers = Peers(self, open_channel=self._open_channel, refuses=refuses, timing=timing)
        kept = store.load()
        self._book = AddressBook(given=static_peers, met=kept.addresses)
        self._membership = Membership()
        self._belief = Belief(kept, store=store, book=self._book, node=identity.node, clock=clock, timing=timing)
        self._pulse = Pulse(timing.beat_s)
        self._streams = Counter[NodeId]()
        self._greeted: set[NodeId] = set()
        self._self_channel: Channel | None = None
        self._closing: asyncio.Task[None] | None = None
        self._handing_to: NodeId | None = None
        self._subscriptions = weakref.WeakValueDictionary[int, Subscription]()  # in the order in which they came
        self._subscribed = 0

    # What others of this daemon ask.

    @property
    def leader(self) -> NodeId | None:
        """The node that plans; None while one is chosen."""
        return self._belief.leadership.leader

    @property
    def leads(self) -> bool:
        """Whether this node plans."""
        return self.leader == self.identity.node

    @property
    def term(self) -> int:
        """The highest leadership term seen."""
        return self._belief.leadership.term

    @property
    def refusals(self) -> Mapping[Address, str]:
        """Why a node that answers there is no peer: one sentence for each address."""
        return self._peers.refusals.dialled

    def refused(self) -> tuple[Refused, ...]:
        """Those, and the nodes that called here and were turned away."""
        return self._peers.refusals.current(self._clock.continuous())

    def has_feature(self, name: str) -> bool:
        """Whether this node and all others that are not given up have it: then it may be used."""
        return name in self.features

    @property
    def features(self) -> frozenset[str]:
        """What they all have."""
        others = (member.beat.facts.features for member in self._membership.present)
        return self._self_facts().features.intersection(*others)

    def leadership(self) -> LeaderView:
        """Who leads, and since when."""
        leader = self.leader
        facts = self.facts(leader) if leader else None
        return LeaderView(
            node=leader, name=facts.name if facts else "", term=self.term, since_unix_s=self._belief.since_unix_s
        )

    def members(self) -> tuple[MemberView, ...]:
        """Every node that was heard since the start, this one first, the others by node id."""
        return (self._myself(), *self.others())

    def others(self) -> tuple[MemberView, ...]:
        """Those but this one."""
        now_s = self._clock.continuous()
        return tuple(
            standing(member, now_s=now_s, addresses=self._book.where(member.node))
            for member in self._membership.members
        )

    def facts(self, node: NodeId) -> NodeFacts | None:
        """The node's facts as of its last beat; None when it was never heard."""
        if node == self.identity.node:
            return self._self_facts()
        member = self._membership.member(node)
        return member.beat.facts if member else None

    def home_of(self, job_id: str) -> NodeId | None:
        """The node that says it is the job's home, one that is given up included; None when no node says so."""
        jobs = (*self._jobs(), *(job for member in self._membership.members for job in member.beat.jobs))
        return next((job.home for job in jobs if job.job_id == job_id), None)

    def channel(self, node: NodeId) -> Channel | None:
        """An open channel to the node, this one included; None while it is not connected. Not the caller's to close."""
        if node != self.identity.node:
            return self._peers.channel(node)
        if self._self_channel is None:
            self._self_channel = self._open_channel(self._own_addresses()[-1], self.identity.node)
        return self._self_channel

    def address(self, node: NodeId) -> Address | None:
        """Where the channel to another node leads; None while it is not connected."""
        return self._peers.address(node)

    def dials_here(self, node: NodeId) -> bool:
        """Whether the other node holds a connection to this one that it made itself."""
        return self._streams[node] > (self._peers.channel(node) is not None)

    def subscribe(self) -> Subscription:
        """Every event from now on."""
        subscription = Subscription()
        self._subscribed += 1
        self._subscriptions[self._subscribed] = subscription
        return subscription

    def meet_anew(self, *, tag: str, has_certificates: bool, hints: Sequence[Address] = ()) -> None:
        """Hangs up on all nodes and meets those of this tag from now on, at the hinted addresses, too."""
        self._tag = tag
        self._book.give(hints)
        self._peers.is_exact = has_certificates
        self._peers.hang_up()
        self._hang_up_on_self()
        self.announce_anew()
        self._follow_addresses()

    def announce_anew(self) -> None:
        """Says by Bonjour what there is to say now."""
        if self._discovery:
            self._discovery.wake()

    def hand_over(self, node: NodeId) -> None:
        """Has the node lead in the next term. Raises WrongState when this one does not lead."""
        if not self.leads:
            raise WrongState("this node does not lead, so it cannot hand over; ask again in a moment")
        self._handing_to = node

    def review(self) -> None:
        """Hangs up on nodes that this one has nothing to do with any more."""
        self._peers.review()

    async def run(self) -> None:
        """Finds, meets and judges the other nodes until it is cancelled."""
        self._follow_addresses()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._peers.run(), name="cluster.peers")
                if self._discovery:
                    tasks.create_task(self._discovery.run(self._learn), name="cluster.discovery")
                while True:
                    await self._tick()
                    await self._clock.sleep(self._timing.tick_s)
        finally:
            self._pulse.stop()
            if self._self_channel:
                await self._self_channel.close()

    # What the connections say (see peers.Conversation).

    def greeting(self) -> Greeting:
        """How this node introduces itself."""
        facts = self._self_facts()
        return Greeting(
            tag=self._tag,
            node=self.identity.node,
            name=facts.name,
            version=facts.version,
            features=facts.features,
            max_protocol=facts.protocol,
            addresses=self._own_addresses(),
        )

    def turned_away(self, theirs: Greeting, reason: str) -> None:
        """A node introduced itself, and this one will not work with it."""
        self._peers.refusals.note_caller(theirs.node, theirs.addresses, reason, now_s=self._clock.continuous())

    def met(self, node: NodeId, addresses: tuple[Address, ...]) -> None:
        """A node answered or asked, and can be dialled there."""
        self._greeted.add(node)
        self._peers.refusals.forget_caller(node)
        if node == self.identity.node:
            return
        if self._book.meet(node, addresses):
            self._follow_addresses()
        self._peers.hurry(self._book.where(node))

    def has_met(self, node: NodeId) -> bool:
        """Whether the node introduced itself since this daemon started."""
        return node in self._greeted

    def is_news(self, node: NodeId, boot: str, sequence: int) -> bool:
        """Whether that beat, or a later one, did not come already over another connection."""
        known = self._membership.member(node)
        return known is None or known.beat.boot != boot or sequence > known.beat.sequence

    def heard(self, beat: Beat) -> None:
        """Another node's beat came."""
        if beat.node != self.identity.node:
            self._apply(membership.heard(self._membership, beat, self._clock.continuous()))
            self._hear_of(beat.peers)

    def beats(self) -> AsyncIterator[Beat]:
        """This node's beat now, and every new one, until `run` ends."""
        return self._pulse.beats()

    @contextmanager
    def talking(self, node: NodeId) -> Generator[None]:
        """Holds while beats are exchanged; when the last connection ends the node is suspected at once."""
        self._streams[node] += 1
        try:
            yield
        finally:
            self._streams[node] -= 1
            if not self._streams[node]:
                self._apply(membership.doubted(self._membership, node, self._clock.continuous(), self._timing))

    # The loop.

    async def _tick(self) -> None:
        now_s = self._clock.continuous()
        gap_s = now_s - (self._membership.ticked_at_s or now_s)
        self._apply(membership.tick(self._membership, now_s, self._timing))
        believed = self._belief.leadership
        if gap_s > self._timing.suspect_s:
            log.warning("cluster.stood_still", gap_s=round(gap_s, 1), led=self.leads)
            believed = election.paused(believed, self.identity.node, now_s, self._timing)
        said = self._pulse.last  # by its facts all others rank this node
        me = election.rank_of(said.facts if said else self._self_facts())
        voices = [
            election.Voice(rank=election.rank_of(member.beat.facts), term=member.beat.term, leader=member.beat.leader)
            for member in self._membership.present
        ]
        to, self._handing_to = self._handing_to, None
        if self.leads and to is not None:
            await self._believe(election.handed_over(believed, to))
        else:
            await self._believe(election.decide(believed, me, voices, now_s, self._timing))
        if self._pulse.is_due(now_s):
            self._pulse.send(self._beat(), now_s)

    async def _believe(self, believed: election.Leadership) -> None:
        """Makes the belief this node's own, and tells all when it is news."""
        if await self._belief.hold(believed, [member.beat for member in self._membership.present]):
            log.info("cluster.leader", leader=believed.leader, term=believed.term, self_leads=self.leads)
            self._tell(LeaderChanged(leader=believed.leader, term=believed.term))
            self._pulse.hurry()

    def _beat(self) -> Beat:
        return Beat(
            node=self.identity.node,
            boot=self.identity.boot,
            sequence=self._pulse.sequence,
            term=self.term,
            leader=self._belief.leadership.announced,
            leader_since_unix_s=self._belief.since_unix_s,
            facts=self._self_facts(),
            jobs=tuple(self._jobs()),
            peers=tuple(
                KnownPeer(node=member.node, addresses=self._book.where(member.node))
                for member in self._membership.present
                if self._book.where(member.node)
            ),
        )

    def _apply(self, change: membership.Heard) -> None:
        self._membership, events = change
        for event in events:
            if not isinstance(event, membership.PeerChanged):  # every beat has other free bytes
                log.info(LOG_NAMES[type(event)], node=event.node)
            self._tell(event)

    def _tell(self, event: ClusterEvent) -> None:
        for subscription in tuple(self._subscriptions.values()):
            subscription.put(event)

    def _own_addresses(self) -> tuple[Address, ...]:
        with outlasted("cluster.addresses_not_seen"):
            self._addresses = self._find_addresses()
        return self._addresses

    def _learn(self, finding: Finding) -> None:
        self._book.find(finding)
        self._follow_addresses()

    def _hear_of(self, peers: Sequence[KnownPeer]) -> None:
        """Dials nodes that another node hears and this one has not met; what they are, their Hello says."""
        if self._book.hear_of([peer for peer in peers if peer.node != self.identity.node]):
            self._follow_addresses()

    def _follow_addresses(self) -> None:
        own, is_exact = frozenset(self._own_addresses()), self._peers.is_exact
        self._peers.want(
            Target(address=address, expects=node if is_exact else None)
            for address, node in self._book.entries()
            if address not in own and (self._insecure_lan or is_exact or address.is_loopback)
        )

    def _hang_up_on_self(self) -> None:
        channel, self._self_channel = self._self_channel, None
        if channel is not None:
            self._closing = asyncio.create_task(channel.close(), name="cluster.hang_up")

    def _myself(self) -> MemberView:
        return MemberView(
            node=self.identity.node,
            state="alive",
            silent_s=0.0,
            addresses=self._own_addresses(),
            facts=self._self_facts(),
            jobs=tuple(self._jobs()),
            is_self=True,
        )
