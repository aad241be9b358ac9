"""Recall: a desk gives what the ledger remembers, and computes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from realign_daemon.curation.desk import Desk, Surroundings
from realign_daemon.curation.record import JobRecord, StageRecord
from realign_daemon.curation.selftest.sayings import written
from realign_daemon.engine.codec import encode
from realign_daemon.testing.scripted_desk import generation, job_spec
from realign_daemon.work.database import Database
from realign_daemon.work.ledger import Ledger, StoredResult
from realign_daemon.work.units import make_unit


async def test_what_was_asked_is_remembered_in_order_and_what_was_not_is_missing(tmp_path: Path) -> None:
    database = Database(tmp_path / "ledger.sqlite")
    await database.open()
    ledger, said, unsaid = Ledger(database), generation("said"), generation("unsaid")
    stored = StoredResult(
        key=make_unit(said).key,
        kind="generated",
        result=encode(written("hello")),
        node="node",
        started_unix_s=0.0,
        busy_s=0.0,
        tokens=1,
    )
    await ledger.add_results([stored], now_unix_s=0.0, computed=True)
    others = dict.fromkeys(("dispatcher", "blobs", "computations", "crew", "home", "node_names", "changed"))
    record = JobRecord(stages=[StageRecord(name="s", title="s")])
    desk = Desk(job_spec(), record, Surroundings(ledger=ledger, **cast("Any", others)), counted=set())

    assert await desk.recall([unsaid, said, said]) == [None, written("hello"), written("hello")]

    await database.close()
