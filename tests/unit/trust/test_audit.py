"""The audit: no line can be changed, taken out, put in or moved without its being seen."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust import audit_table
from realign_daemon.trust.audit import AuditLine, Deed, first_broken, next_line
from realign_daemon.trust.audit_table import AuditTable
from realign_daemon.work.database import Database

DEEDS = st.builds(Deed, actor=st.text(), role=st.text(), method=st.text(), object=st.text(), outcome=st.text())


def chained(deeds: list[Deed]) -> list[AuditLine]:
    lines: list[AuditLine] = []
    for place, deed in enumerate(deeds):
        lines.append(next_line(deed, after=lines[-1] if lines else None, at_unix_s=place * 0.1))
    return lines


CHAINS = st.lists(DEEDS, min_size=1, max_size=6).map(chained)


@settings(deadline=None)
@given(lines=CHAINS)
def test_an_untouched_chain_holds_as_a_whole_and_in_pages(lines: list[AuditLine]) -> None:
    half = len(lines) // 2

    assert first_broken(lines) is None
    assert first_broken(lines[half:], after=lines[half - 1] if half else None) is None


@settings(deadline=None)
@given(lines=CHAINS, data=st.data())
def test_a_changed_line_is_found(lines: list[AuditLine], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(lines) - 1))
    line = lines[place]
    field = data.draw(
        st.sampled_from(["actor", "role", "method", "object", "outcome", "at_unix_s", "hash", "previous"])
    )
    if field in ("at_unix_s", "hash", "previous"):
        value = data.draw(st.floats(allow_nan=False) if field == "at_unix_s" else st.text())
        changed = replace(line, **{field: value})
    else:
        changed = replace(line, deed=replace(line.deed, **{field: data.draw(st.text() | st.binary())}))
    assume(changed != line)

    assert first_broken([*lines[:place], changed, *lines[place + 1 :]]) == place + 1


@settings(deadline=None)
@given(lines=CHAINS, data=st.data())
def test_a_line_that_was_taken_out_put_in_or_moved_is_found(lines: list[AuditLine], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.integers(0, len(lines) - 1).filter(lambda index: index != place or len(lines) == 1))

    if place != len(lines) - 1:
        assert first_broken([*lines[:place], *lines[place + 1 :]]) is not None
    assert first_broken([*lines[:place], lines[other], *lines[place:]]) is not None
    moved = [lines[other] if at == place else lines[place] if at == other else line for at, line in enumerate(lines)]
    assert (first_broken(moved) is None) == (place == other)


@settings(deadline=None)
@given(lines=CHAINS, data=st.data())
def test_a_line_of_another_chain_is_found(lines: list[AuditLine], data: st.DataObject) -> None:
    forged = next_line(Deed(actor="x", role="admin", method="m"), after=lines[-1], at_unix_s=1.0)
    place = data.draw(st.integers(0, len(lines) - 1))

    assert first_broken([*lines[:place], replace(forged, seq=place + 1), *lines[place:]]) is not None


def test_a_field_that_a_caller_chose_cannot_spoil_a_terminal_or_fill_the_disk() -> None:
    line = next_line(Deed(actor="a\x1b[2J\n", role="r", method="m" * 5000), after=None, at_unix_s=0.0)

    assert (line.deed.actor, len(line.deed.method)) == ("a\\x1b[2J\\n", 201)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def opened(path: Path) -> Database:
    database = Database(path / "ledger.sqlite")
    await database.open()
    return database


async def test_the_table_keeps_the_chain_over_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    deeds = [Deed(actor=name, role="admin", method="Invite") for name in ("a", "b", "c")]
    database = await opened(tmp_path)
    await AuditTable(database, clock).record(deeds[0])
    await database.close()
    database = await opened(tmp_path)
    table = AuditTable(database, clock)
    await asyncio.gather(*(table.record(deed) for deed in deeds[1:]))

    lines = await table.last(2)
    assert [line.deed for line in lines] == deeds[1:]
    assert [line.seq for line in lines] == [2, 3]
    assert await table.broken_at() is None
    await database.close()


@pytest.mark.parametrize(
    ("tampering", "broken_at"),
    [
        ("UPDATE audit SET outcome = 'done' WHERE seq = 2", 2),
        ("UPDATE audit SET at = at + 1 WHERE seq = 5", 5),
        ("UPDATE audit SET actor = x'00ff' WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 4", 4),
        ("INSERT INTO audit SELECT 6, at, actor, role, method, object, outcome, prev_hash, hash FROM audit LIMIT 1", 6),
        (
            "INSERT INTO audit SELECT -1, at, actor, role, method, object, outcome, prev_hash, hash FROM audit LIMIT 1",
            1,
        ),
        ("UPDATE audit SET seq = seq + 1 WHERE seq = 5", 5),
    ],
)
async def test_tampering_in_the_table_is_found_on_whichever_page(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, tampering: str, broken_at: int
) -> None:
    monkeypatch.setattr(audit_table, "PAGE", 2)
    database = await opened(tmp_path)
    table = AuditTable(database, clock)
    for number in range(5):
        await table.record(Deed(actor=f"a{number}", role="read", method="m", outcome="denied"))
        clock.advance(1)
    assert await table.broken_at() is None

    def tamper(connection: sqlite3.Connection) -> Any:
        return connection.execute(tampering) and None

    await database.run(tamper)

    assert await table.broken_at() == broken_at
    await database.close()
