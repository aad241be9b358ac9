"""Renewal: keeps this node's certificate young, for as long as `run` runs."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from realign_daemon.clock import Clock
from realign_daemon.errors import RealignError
from realign_daemon.trust.bundle import Bundle
from realign_daemon.trust.certificate import Certificate
from realign_daemon.trust.keys import certificate_request
from realign_daemon.trust.registrar import Registrar
from realign_daemon.trust.trust import Trust

log = structlog.get_logger()

LOOK_EVERY_S = 600.0  # half a year is left when it first looks for one

Ask = Callable[[bytes], Awaitable[tuple[Certificate, Bundle]]]  # with a certificate request


class Renewal:
    """A certificate is renewed at half its life, and when a new authority has come."""

    def __init__(self, trust: Trust, registrar: Registrar, *, ask: Ask, clock: Clock) -> None:
        self._trust = trust
        self._registrar = registrar
        self._ask = ask
        self._clock = clock
        self._news = asyncio.Event()
        trust.on_news(self._news.set)

    async def run(self) -> None:
        """Looks again and again, at once when there are news, until cancelled; tries again what has failed."""
        while True:
            if self.is_due:
                try:
                    await self.renew()
                except (RealignError, OSError, sqlite3.OperationalError) as error:  # a full disk passes
                    log.warning("trust.not_renewed", reason=str(error))
            self._news.clear()  # only now: what this very renewal has changed is no news
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._news.wait()

    @property
    def is_due(self) -> bool:
        """Whether it is time."""
        shown = self._trust.holdings.certificate
        if shown is None:
            return False
        newest = Bundle(pems=self._trust.members.bundle.pems[:1])
        return shown.is_half_way(self._clock.unix()) or not newest.issued(shown.pem)

    async def renew(self) -> None:
        """Gets a new certificate and shows it from now on. Raises RealignError."""
        key = self._trust.holdings.key
        if self._registrar.holds:
            certificate, bundle = await self._registrar.renew_own(key.public_key())
        else:
            certificate, bundle = await self._ask(certificate_request(key))
        await self._trust.keep_certificate(certificate.pem, bundle)
        log.info("trust.renewed", until_unix_s=certificate.not_after_unix_s)
