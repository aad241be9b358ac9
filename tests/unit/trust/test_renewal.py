"""Renewal: when a certificate is renewed, and that nothing that passes ends the daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.trust.nodes import Node, counted

from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust.bundle import Bundle
from realign_daemon.trust.certificate import Certificate
from realign_daemon.trust.renewal import Renewal


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def home(tmp_path: Path, clock: ManualClock) -> Node:
    """The node that has founded the cluster."""
    node = Node(tmp_path / "home", clock)
    await node.trust.found("home")
    return node


async def nobody(_: bytes) -> tuple[Certificate, Bundle]:
    raise AssertionError("the key is here")


async def test_a_nodes_certificate_is_renewed_at_half_its_life_and_after_a_change_of_the_authority(
    home: Node, clock: ManualClock
) -> None:
    renewal = Renewal(home.trust, home.registrar, ask=nobody, clock=clock)
    assert not renewal.is_due
    clock.advance(190 * 86_400.0)
    assert renewal.is_due
    await renewal.renew()
    assert not renewal.is_due
    await home.registrar.rotate()
    assert renewal.is_due
    await renewal.renew()
    assert not renewal.is_due


@pytest.mark.parametrize("write", range(3))  # the ledger, the authorities, the certificate
async def test_a_full_disk_at_any_write_of_a_renewal_ends_nothing_and_it_is_tried_again(
    home: Node, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    disk = home.facts.disk
    counted(disk, monkeypatch)
    renewal = Renewal(home.trust, home.registrar, ask=nobody, clock=clock)
    clock.advance(190 * 86_400.0)
    disk.fail(range(write, write + 1))
    running = asyncio.create_task(renewal.run())

    while renewal.is_due:
        assert not running.done()
        await home.trust.load()  # with which news come
        await asyncio.sleep(0)

    assert disk.writes > write + 1
    running.cancel()
