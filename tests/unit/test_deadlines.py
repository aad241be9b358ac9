"""Deadlines: a test that waits for what never comes fails, and the next one runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
TESTS = """
import asyncio
import pytest

pytestmark = pytest.mark.deadline(0.1)

@pytest.fixture(autouse=True)
async def around():
    yield

@pytest.fixture
async def never_made():
    await asyncio.Event().wait()

@pytest.fixture
async def never_taken_down():
    yield
    await asyncio.Event().wait()

async def test_waits():
    await asyncio.Event().wait()

async def test_is_never_begun(never_made):
    pass

async def test_passes_and_is_never_left(never_taken_down):
    pass

async def test_looks_again_and_again():
    while True:
        await asyncio.sleep(0)

class TestMethods:
    @pytest.mark.parametrize("one", [1])
    async def test_waits(self, one):
        await asyncio.Event().wait()

async def test_passes():
    await asyncio.sleep(0)
"""


def test_an_async_test_that_never_ends_fails_at_its_deadline_and_the_others_run(tmp_path: Path) -> None:
    file = tmp_path / "test_hanging.py"
    file.write_text(TESTS)
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-c", "/dev/null", "-rfE"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={tmp_path}", file],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    failed = [line.split("::", 1)[1] for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR "))]
    assert [line.split(" - ")[0] for line in failed] == [
        "test_waits",
        "test_looks_again_and_again",
        "TestMethods::test_waits[1]",
        *("test_is_never_begun", "test_passes_and_is_never_left"),  # not themselves, but what they asked for
    ]
    said = [
        line for line in done.stdout.splitlines() if line.startswith("E ") and "not done after 0.1 s; see above" in line
    ]
    assert len(said) == len(failed)
    assert "2 passed" in done.stdout
