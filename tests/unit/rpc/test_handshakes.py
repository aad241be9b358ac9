"""Handshakes that failed, as the audit has them: what cannot be this node's own, by reason, and once a minute."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from realign_daemon.rpc import handshakes
from realign_daemon.rpc.handshakes import LOOK_EVERY_S, Handshakes
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust.audit_table import AuditTable
from realign_daemon.trust.denials import WINDOW_S
from realign_daemon.work.database import Database

pytestmark = pytest.mark.deadline(20)

FAILED = "I1123 14:08:06.9 1 ssl_transport_security.cc:2563] Handshake failed with error SSL_ERROR_SSL: {}: Invalid\n"
NOBODYS = FAILED.format("OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE")
FOREIGN = FAILED.format("OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate")


class World:
    def __init__(self, folder: Path, database: Database) -> None:
        self.log = folder / "grpc.log"
        self.log.write_text(NOBODYS)  # of an earlier run
        self.clock = ManualClock()
        self.audit = AuditTable(database, self.clock)
        self.dials_in_vain = False
        self.handshakes = Handshakes(
            self.log, audit=self.audit, dials_in_vain=lambda: self.dials_in_vain, clock=self.clock
        )

    def say(self, *lines: str) -> None:
        with self.log.open("a") as log:
            log.writelines(lines)

    async def audited(self, *outcomes: str) -> None:
        """Returns once these are the lines."""
        while tuple(line.deed.outcome for line in await self.audit.last(100)) != outcomes:
            await self.clock.run_for(LOOK_EVERY_S / 4)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    database = Database(tmp_path / "ledger.sqlite")
    await database.open()
    world = World(tmp_path, database)
    running = asyncio.create_task(world.handshakes.run())
    await world.clock.run_for(0)
    yield world
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await database.close()


async def test_each_reason_has_a_line_a_minute_with_how_often_it_came(world: World) -> None:
    world.say(NOBODYS, "I1123 something else\n", FOREIGN, FOREIGN, FOREIGN)
    first = ("it showed no certificate", "its certificate is of another cluster")
    await world.audited(*first)
    await world.clock.run_for(WINDOW_S)
    world.say(FOREIGN)
    await world.audited(*first, "its certificate is of another cluster (and 2 times since the last line)")


async def test_what_may_be_a_dial_of_this_node_is_not_laid_to_a_caller(world: World) -> None:
    world.dials_in_vain = True
    world.say(FOREIGN, NOBODYS)
    await world.audited("it showed no certificate")


async def test_the_log_begins_anew_before_it_fills_the_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "MAX_BYTES", 2 * len(NOBODYS))
    world.say(NOBODYS, NOBODYS)
    await world.audited("it showed no certificate")
    assert world.log.stat().st_size == 0
    world.say(FOREIGN)
    await world.audited("it showed no certificate", "its certificate is of another cluster")


async def test_where_there_is_no_log_nothing_is_followed(world: World) -> None:
    world.log.unlink()
    absent = Handshakes(world.log, audit=world.audit, dials_in_vain=bool, clock=world.clock)
    await absent.run()
