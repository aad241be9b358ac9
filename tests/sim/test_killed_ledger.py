"""What the ledger has acknowledged survives the death of its process at any moment."""

from __future__ import annotations

import asyncio
import random
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from realign_daemon.work.database import Database
from realign_daemon.work.ledger import Ledger
from realign_daemon.work.units import UnitKey

LONGEST_S = 0.25  # that a process writes before it dies

# Writes results until it is killed; says each key once it is acknowledged.
WRITER = """
import asyncio, itertools, os, sys
from pathlib import Path
from realign_daemon.work.database import Database
from realign_daemon.work.ledger import Ledger, StoredResult

async def main():
    database = Database(Path(sys.argv[1]))
    await database.open()
    ledger = Ledger(database)
    for number in itertools.count():
        key = f"{sys.argv[2]}.{number}"
        row = StoredResult(
            key=key, kind="generated", result=os.urandom(3_000), node="a", started_unix_s=1.0, busy_s=0.5, tokens=1
        )
        await ledger.add_results([row], now_unix_s=1.0, computed=True)
        os.write(1, f"{key}\\n".encode())

asyncio.run(main())
"""


async def killed(path: Path, round_number: int, chance: random.Random) -> list[str]:
    """What a process had acknowledged before it was killed."""
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), str(round_number), stdout=PIPE
    )
    assert writer.stdout is not None, "it was asked for"
    said = await writer.stdout.readline()  # it is under way
    try:
        async with asyncio.timeout(chance.random() * LONGEST_S):
            while line := await writer.stdout.readline():
                said += line
    except TimeoutError:
        writer.kill()
    said += await writer.stdout.read()
    await writer.wait()
    return said.decode().split("\n")[:-1]


@pytest.mark.parametrize("kills", [5, pytest.param(60, marks=pytest.mark.long)])
async def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path, kills: int) -> None:
    path, chance = tmp_path / "ledger.sqlite", random.Random(4)
    acknowledged = [key for number in range(kills) for key in await killed(path, number, chance)]
    assert len(acknowledged) > 5 * kills
    database = Database(path)
    await database.open()
    found = await Ledger(database).results([UnitKey(key) for key in acknowledged])
    assert set(found) == set(acknowledged)
    assert await database.run(lambda connection: connection.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
    await database.close()
