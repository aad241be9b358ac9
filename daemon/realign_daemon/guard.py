"""Guard: who may talk to this daemon, put together: its doors, the cluster it is in, and what changes that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from realign_daemon.clock import Clock
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.announcement import Announcement, mark, tag_mark
from realign_daemon.cluster.discovery import find_join, own_addresses
from realign_daemon.cluster.election import rank_of
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.view import ClusterView
from realign_daemon.config import Config
from realign_daemon.errors import Ambiguous, BadInput, NotFound, WrongState
from realign_daemon.native_words import NATIVE_LOG
from realign_daemon.rpc.authorisation import Authorisation, OwnerOf
from realign_daemon.rpc.caller import caller
from realign_daemon.rpc.doors import MembersDoor, OpenDoor, OwnersDoor
from realign_daemon.rpc.enrolment import enrol
from realign_daemon.rpc.handshakes import Handshakes
from realign_daemon.rpc.holder import Holder
from realign_daemon.rpc.join_ports import JoinPorts
from realign_daemon.rpc.join_servicer import JoinServicer
from realign_daemon.rpc.neighbours import Neighbours
from realign_daemon.rpc.quota import Quotas
from realign_daemon.rpc.server import AddToServer, Opening, Server
from realign_daemon.rpc.tls import members_credentials
from realign_daemon.rpc.trust_servicer import TrustServicer
from realign_daemon.trust.audit import AuditTrail
from realign_daemon.trust.invitation import parse_token
from realign_daemon.trust.registrar import Registrar
from realign_daemon.trust.renewal import Renewal
from realign_daemon.trust.trust import Trust

log = structlog.get_logger()

ANY_PORT = Address(host="127.0.0.1", port=0)  # where no certificates protect it
EVERYWHERE = Address(host="0.0.0.0", port=0)  # noqa: S104 - behind certificates, which everybody there must show
FIND_TIMEOUT_S = 10.0  # by Bonjour; a node that has just founded its cluster needs some three seconds to be heard

Rehome = Callable[[NodeId], Awaitable[None]]  # gives the jobs of a lost node new homes, by an operator's word


class KeyReplaced(Exception):
    """This daemon has become another node: everything that knows its old id must be made anew."""


class Guard:
    """`opening`, `owner` and `services` are for the server; `run` must be running once that serves."""

    def __init__(
        self,
        config: Config,
        *,
        server: Server,
        trust: Trust,
        audit: AuditTrail,
        view: ClusterView,
        neighbours: Neighbours,
        owner_of: OwnerOf,
        rehome: Rehome | None,
        clock: Clock,
        is_witness: bool = False,
    ) -> None:
        """`rehome` is None where jobs cannot be given homes: on a witness."""
        self._config = config
        self._server = server
        self._trust = trust
        self._view = view
        self._rehome = rehome
        self._is_witness = is_witness
        self._moved = asyncio.Event()
        doors = (OwnersDoor(), OpenDoor(), MembersDoor(lambda: trust.members, clock))
        quotas = Quotas(calls_per_s=config.limits.calls_per_s, clock=clock)
        self._doors = [
            Authorisation(door, clock=clock, audit=audit, quotas=quotas, owner_of=owner_of) for door in doors
        ]
        registrar = Registrar(trust, clock)
        holder = Holder(neighbours.member_channels)
        self._renewal = Renewal(trust, registrar, ask=holder.renew, clock=clock)
        self._join_ports = JoinPorts(
            trust,
            JoinServicer(trust, registrar, audit=audit, addresses=self._all_addresses, clock=clock),
            host=lambda: self._wanted().host,
            changed=view.announce_anew,
            clock=clock,
            node_name=config.node.name,
        )
        servicer = TrustServicer(
            trust,
            registrar,
            holder=holder,
            join_port=self._join_ports,
            operator=self,
            leader=neighbours.leader_channel,
            audit=audit,
            clock=clock,
        )
        self.services: tuple[AddToServer, ...] = (servicer.add_to,)
        self._handshakes = Handshakes(
            config.node.data_dir / NATIVE_LOG, audit=audit, dials_in_vain=lambda: bool(view.refusals), clock=clock
        )
        trust.on_move(self._moved.set)
        trust.on_news(self._review)

    @property
    def owner(self) -> Authorisation:
        """For the unix socket."""
        return self._doors[0]

    def opening(self) -> Opening:
        """How the daemon is reached over TCP now."""
        _, open_door, members_door = self._doors
        if not self._trust.cluster:
            return Opening(listen=self._wanted(), authorisation=open_door)
        credentials = members_credentials(self._trust)
        return Opening(listen=self._wanted(), keeps_port=True, credentials=credentials, authorisation=members_door)

    def announcement(self) -> Announcement:
        """What this node says of itself by Bonjour now."""
        trust, config = self._trust, self._config
        marks = tuple(map(mark, trust.members.bundle.digests)) or (tag_mark(config.cluster.tag),)
        is_shielded = bool(trust.cluster) and not self._server.address.is_loopback
        return Announcement(
            node=self._view.identity.node,
            name=config.node.name,
            marks=marks,
            beyond_loopback=config.network.insecure_lan or is_shielded,
            join_port=self._join_ports.port,
        )

    async def run(self) -> None:
        """Follows the news of members, renews, and listens anew after a move, until cancelled.

        Raises:
            KeyReplaced: inside a group.
        """
        node = self._trust.node_id
        self._meet()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._trust.run(), name="trust.news")
            tasks.create_task(self._renewal.run(), name="trust.renewal")
            tasks.create_task(self._join_ports.run(), name="trust.join")
            tasks.create_task(self._handshakes.run(), name="trust.handshakes")
            while True:
                await self._moved.wait()
                self._moved.clear()
                if self._trust.node_id != node:
                    raise KeyReplaced
                await self._server.reopen()
                self._meet()

    # What an operator's word does; see rpc.trust_servicer.Operator.

    async def enrol(self, token: str, address: str) -> None:
        """Takes this daemon into the cluster of the token; a key that the cluster will not have back is replaced."""
        invitation = parse_token(token)
        if self._trust.cluster:
            raise WrongState(f"this daemon is in the cluster {self._trust.cluster!r}; leave that one first")
        try:
            places = (Address.parse(address),) if address else ()
        except ValueError as error:
            raise BadInput(str(error)) from error
        enrolled, key = await enrol(
            places or await find_join(invitation.authority_sha256, timeout_s=FIND_TIMEOUT_S),
            invitation,
            self._trust.holdings.key,
            name=self._config.node.name,
            is_witness=self._is_witness,
        )
        await self._trust.join(enrolled, key=key)

    async def remove_dead(self, reference: str) -> None:
        """Revokes a node that is not there any more, and gives its jobs new homes."""
        if self._rehome is None:
            raise WrongState("this node is a witness, which can give no job a new home; run this on a node that works")
        found = [member for member in self._trust.members.find(reference) if member.certificate.node_id is not None]
        if len(found) != 1:
            error = Ambiguous if found else NotFound
            raise error(
                f"{len(found) or 'no'} nodes are called {reference!r}; `realignctl cluster members` lists their keys"
            )
        node = found[0].certificate.node_id
        assert node is not None, "chosen for having one"
        if any(member.node == node and member.state != "dead" for member in self._view.members()):
            raise WrongState(f"node {reference!r} is alive; use `realignctl cluster revoke` to put it out")
        await self._trust.revoke(found[0].spki, reason="it was lost", by=caller())
        await self._rehome(node)

    async def transfer(self, reference: str) -> None:
        """Has a living node lead, by name or the beginning of its id; for an empty reference whoever ranks best."""
        living = [one for one in self._view.members() if one.state == "alive" and not one.facts.witness]
        if reference:
            meant = [one for one in living if one.facts.name == reference or one.node.startswith(reference.lower())]
        else:
            meant = sorted(living, key=lambda one: rank_of(one.facts))[:1]
        if len(meant) != 1:
            error = Ambiguous if meant else NotFound
            raise error(
                f"{len(meant) or 'no'} living nodes that can lead are called {reference!r}; see `realignctl nodes`"
            )
        if meant[0].node == self._view.leader:
            raise WrongState(f"{meant[0].facts.name} leads already")
        self._view.hand_over(meant[0].node)

    # The rest.

    def _wanted(self) -> Address:
        """Where the daemon is to listen now; it may take a moment to get there."""
        network = self._config.network
        if self._trust.cluster:
            return network.listen or EVERYWHERE
        listen = network.listen or ANY_PORT
        if network.insecure_lan or listen.is_loopback:
            return listen
        log.warning("network.kept_to_loopback", wanted=str(listen), remedy="found a cluster, or join one")
        return Address(host=ANY_PORT.host, port=listen.port)

    def _meet(self) -> None:
        cluster = self._trust.cluster
        self._view.meet_anew(
            tag=cluster or self._config.cluster.tag, has_certificates=bool(cluster), hints=self._trust.hints
        )

    def _review(self) -> None:
        for door in self._doors:
            door.review()
        self._view.review()

    def _all_addresses(self) -> tuple[Address, ...]:
        others = (address for member in self._view.members() for address in member.addresses)
        return tuple(dict.fromkeys((*own_addresses(self._server.address), *others)))
