"""Founding: what a cluster's first member is, and that it is none that was put out before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from realign_daemon.errors import WrongState
from realign_daemon.journal.journal import Journal
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust.journal_facts import JournalFacts, trust_kinds
from realign_daemon.trust.member import Revocation
from realign_daemon.trust.store import TrustStore
from realign_daemon.trust.trust import Trust
from realign_daemon.work.database import Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "ledger.sqlite")
    await database.open()
    yield database
    await database.close()


def trust_of(folder: Path, database: Database, *, witness: bool = False) -> Trust:
    clock = ManualClock()
    journal = Journal(database, trust_kinds(lambda pem: trust.issued(pem)), clock=clock)  # noqa: PLW0108 - not yet there
    facts = JournalFacts(journal, database, clock)
    trust = Trust(store=TrustStore(folder), facts=facts, clock=clock, node_name="n", is_witness=witness)
    return trust


async def test_a_node_whose_key_was_revoked_founds_a_cluster_under_a_new_one(
    tmp_path: Path, database: Database
) -> None:
    trust = trust_of(tmp_path, database)
    await trust.found("first")
    before = trust.spki
    await trust.keep_revocation(Revocation(spki=before, reason="", revoked_by="laptop", revoked_at_unix_s=1.0))
    await trust.leave()
    moves: list[str] = []
    trust.on_move(lambda: moves.append(trust.spki))

    with pytest.raises(WrongState, match="as a new node with a new key: run this again"):
        await trust.found("second")
    assert moves == [trust.spki]
    assert trust.spki != before

    await trust.found("second")
    assert [member.spki for member in trust.members.all()] == [trust.spki]


@pytest.mark.parametrize("witness", [True, False])
async def test_a_founder_is_listed_as_what_it_is(tmp_path: Path, database: Database, witness: bool) -> None:
    trust = trust_of(tmp_path, database, witness=witness)
    await trust.found("home")
    assert [member.is_witness for member in trust.members.all()] == [witness]
