"""Join ports: two listeners for those who are no members yet, open only while somebody is expected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from realign_daemon.clock import Clock
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.discovery import own_addresses
from realign_daemon.rpc.join_servicer import JoinPortServicer, JoinServicer
from realign_daemon.rpc.listener import AddToServer, Listener
from realign_daemon.rpc.tls import joiners_credentials
from realign_daemon.trust.authority import JOIN_S
from realign_daemon.trust.keys import mint_key
from realign_daemon.trust.trust import Trust

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
CLOSE_GRACE_S = 1.0  # whoever was let in last still gets the answer
CONCURRENT_CALLS = 16  # a person pastes a token; nobody else has business here


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    listeners: tuple[Listener, Listener]
    address: Address
    until_s: float  # its certificate lasts longer


class JoinPorts:
    """On the node that holds the authority's key, while an invitation is outstanding."""

    def __init__(
        self,
        trust: Trust,
        servicer: JoinServicer,
        *,
        host: Callable[[], str],
        changed: Callable[[], None],
        clock: Clock,
        node_name: str,
    ) -> None:
        """`host` is where the daemon listens; `changed` is called when `port` is another one."""
        self._trust = trust
        self._servicer = servicer
        self._host = host
        self._changed = changed
        self._clock = clock
        self._node_name = node_name
        self._opening = asyncio.Lock()
        self._open: _Open | None = None

    @property
    def port(self) -> int | None:
        """Where to ask first; None while nobody is expected."""
        return self._open.address.port if self._open else None

    async def run(self) -> None:
        """Closes the ports in time, until cancelled."""
        try:
            while True:
                is_stale = self._open is not None and self._clock.continuous() >= self._open.until_s
                if self._open is not None and (is_stale or not self._trust.invitations.is_open):
                    await self._close()
                if self._trust.invitations.is_open and self._trust.holdings.authority is not None:
                    await self.open()
                await self._clock.sleep(LOOK_EVERY_S)
        finally:
            await self._close()

    async def open(self) -> tuple[Address, ...]:
        """Where those who join ask; opens the ports unless they are open. The authority's key must be here."""
        async with self._opening:
            if self._open is None:
                self._open = await self._opened()
                self._changed()
                log.info("join.opened", address=str(self._open.address))
            return own_addresses(self._open.address)

    async def _opened(self) -> _Open:
        authority = self._trust.holdings.authority
        assert authority is not None, "only the authority's holder invites"
        key = mint_key()
        now = self._clock.unix()
        certificate_pem = authority.issue_for_join(key.public_key(), now_unix_s=now)
        any_port = Address(host=self._host(), port=0)
        within = self._listener(self._servicer.add_to)
        tls_port = await within.open(any_port, joiners_credentials(key, certificate_pem))
        describing = JoinPortServicer(authority.pem, tls_port)
        outside = self._listener(describing.add_to)
        port = await outside.open(any_port)
        return _Open(
            listeners=(outside, within),
            address=Address(host=any_port.host, port=port),
            until_s=self._clock.continuous() + JOIN_S / 2,
        )

    def _listener(self, add_to: AddToServer) -> Listener:
        return Listener((add_to,), concurrent_calls=CONCURRENT_CALLS, node_name=self._node_name)

    async def _close(self) -> None:
        async with self._opening:
            opened, self._open = self._open, None
            if opened is not None:
                self._changed()
                await asyncio.gather(*(listener.close(CLOSE_GRACE_S) for listener in opened.listeners))
                log.info("join.closed", address=str(opened.address))
