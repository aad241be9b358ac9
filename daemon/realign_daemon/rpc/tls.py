"""TLS: this daemon's certificate at both ends of its connections, as it is at the moment of each handshake."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import grpc
import grpc.aio

from realign_daemon.clock import Clock
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId
from realign_daemon.errors import NotAllowed
from realign_daemon.rpc.channels import OPTIONS, Channel, open_channel
from realign_daemon.trust.bundle import lapsed
from realign_daemon.trust.keys import PrivateKey, key_pem
from realign_daemon.trust.principal import Refusal
from realign_daemon.trust.trust import Trust
from realign_proto.handshake import MEMBER, server_name


class Dialler:
    """Opens channels as this daemon's place asks for: by certificates within a cluster, in the clear without one."""

    def __init__(self, trust: Trust, clock: Clock) -> None:
        self._trust = trust
        self._clock = clock

    def open(self, address: Address, expects: NodeId | None = None) -> Channel:
        """A channel to exactly this node, or to any of the cluster; it connects at its first call.

        Raises:
            NotAllowed: this node's certificate does not count at this moment, of which TLS would tell nothing.
        """
        holdings = self._trust.holdings
        if holdings.certificate is None:
            return open_channel(address)
        refusal = lapsed(holdings.certificate, self._clock.unix())
        if refusal is not None:
            raise NotAllowed(refusal.reason)
        return secure_channel(
            address,
            roots=self._trust.members.bundle.text,
            name=MEMBER if expects is None else server_name(expects),
            key=holdings.key,
            certificate_pem=holdings.certificate.pem,
        )

    def refuses(self, node: NodeId) -> str | None:
        """Why this node has nothing to do with that one; None when it may."""
        if self._trust.holdings.certificate is None:
            return None
        standing = self._trust.members.node(node)
        return standing.reason if isinstance(standing, Refusal) else None


def secure_channel(
    address: Address,
    *,
    roots: bytes,
    name: str,
    key: PrivateKey | None = None,
    certificate_pem: bytes | None = None,
) -> Channel:
    """A channel to whoever proves the name by one of the roots."""
    shown = (key_pem(key), certificate_pem) if key is not None else (None, None)
    credentials = grpc.ssl_channel_credentials(roots, *shown)
    options = (*OPTIONS, ("grpc.ssl_target_name_override", name))
    return grpc.aio.secure_channel(str(address), credentials, options=options)


def members_credentials(trust: Trust) -> grpc.ServerCredentials:
    """For a server that members alone reach. What is renewed counts from the next handshake on."""
    changed = _Changed(trust)
    trust.on_news(changed.look)
    # gRPC takes None from the second, for no change; its stubs do not know.
    fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", changed.fetch)
    return grpc.dynamic_ssl_server_credentials(changed.first, fetch, require_client_authentication=True)


def joiners_credentials(key: PrivateKey, certificate_pem: bytes) -> grpc.ServerCredentials:
    """For the server that those who join reach, having no certificate yet."""
    return grpc.ssl_server_credentials([(key_pem(key), certificate_pem)])


class _Changed:
    """Hands gRPC's threads what the event loop has put there."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._lock = threading.Lock()
        self.first = self._current()
        self._next: grpc.ServerCertificateConfiguration | None = None

    def look(self) -> None:
        """To be called after a change."""
        if self._trust.holdings.certificate is not None:  # else it has left the cluster, and the server is about to end
            with self._lock:
                self._next = self._current()

    def fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """What has changed since the last handshake; None for nothing."""
        with self._lock:
            found, self._next = self._next, None
            return found

    def _current(self) -> grpc.ServerCertificateConfiguration:
        holdings = self._trust.holdings
        assert holdings.certificate is not None, "only a member answers other members"
        pair = (key_pem(holdings.key), holdings.certificate.pem)
        return grpc.ssl_server_certificate_configuration([pair], self._trust.members.bundle.text)
