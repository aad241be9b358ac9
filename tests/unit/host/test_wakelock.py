"""The machine is kept awake while it must be and never longer. The programs are stand-ins; no Mac has seen this."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from realign_daemon.host.wakelock import Wakelock, lock_command

NOW_S = 100.0
# Says what it was asked and stays until it is ended, as the real ones do.
HOLDER = '#!/bin/sh\necho "$@" >> "$HELD"\nexec sleep 1000\n'
DENIER = '#!/bin/sh\necho "$@" >> "$HELD"\nexit 1\n'
OWNER = """
import asyncio
from realign_daemon.host.wakelock import Wakelock

async def main():
    lock = Wakelock(lambda: 0.0, platform="linux")
    await lock.keep(awake=True, on_mains=True)
    print("held", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the programs were asked, a line each; they come first on the path."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HELD", str(tmp_path / "asked"))
    (tmp_path / "asked").touch()
    program(tmp_path, "caffeinate", HOLDER)
    return tmp_path / "asked"


@pytest.fixture
async def lock(asked: Path) -> AsyncIterator[Wakelock]:
    wakelock = Wakelock(lambda: NOW_S, platform="darwin")
    yield wakelock
    await wakelock.close()


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "1000" in child.cmdline() or "sleep" in child.name()]


async def lines(asked: Path, count: int) -> list[str]:
    async with asyncio.timeout(20):
        while len(found := asked.read_text().splitlines()) < count:  # noqa: ASYNC110, ASYNC240 - other processes write it
            await asyncio.sleep(0.005)
    return found


@pytest.mark.parametrize(
    ("platform", "on_mains", "program", "command"),
    [
        ("darwin", False, "caffeinate", ("caffeinate", "-i", "-w", "7")),
        ("darwin", True, "caffeinate", ("caffeinate", "-i", "-s", "-w", "7")),
        ("darwin", True, "", ()),
        ("linux", True, "", ()),
        ("win32", True, "caffeinate", ()),
    ],
)
def test_each_system_has_its_program(platform: str, on_mains: bool, program: str, command: tuple[str, ...]) -> None:
    assert lock_command(platform, 7, on_mains=on_mains, has=lambda name: name == program) == command


def test_on_linux_the_lock_ends_with_the_pipe_of_its_program() -> None:
    first, *_, last = lock_command("linux", 7, on_mains=True, has=lambda name: name == "systemd-inhibit")

    assert (first, last) == ("systemd-inhibit", "cat")


async def test_the_machine_is_kept_awake_exactly_while_units_run(lock: Wakelock, asked: Path) -> None:
    for awake in (False, True, True, False):
        await lock.keep(awake=awake, on_mains=False)
        assert lock.is_held is awake
        await lines(asked, int(awake))  # a child that is ended sooner has not said anything yet
    await lock.keep(awake=True, on_mains=False)

    assert await lines(asked, 2) == [f"-i -w {os.getpid()}"] * 2
    await lock.close()
    assert children() == []


async def test_a_plug_that_comes_in_changes_the_lock(lock: Wakelock, asked: Path) -> None:
    await lock.keep(awake=True, on_mains=False)
    await lines(asked, 1)
    await lock.keep(awake=True, on_mains=True)

    assert await lines(asked, 2) == [f"-i -w {os.getpid()}", f"-i -s -w {os.getpid()}"]
    assert len(children()) == 1


async def test_a_system_that_denies_the_lock_is_not_asked_again_and_again(tmp_path: Path, asked: Path) -> None:
    program(tmp_path, "caffeinate", DENIER)
    now_s = NOW_S
    lock = Wakelock(lambda: now_s, platform="darwin")
    await lock.keep(awake=True, on_mains=True)
    async with asyncio.timeout(20):
        while lock.is_held:  # noqa: ASYNC110 - another process ends
            await asyncio.sleep(0.005)

    for _ in range(3):
        await lock.keep(awake=True, on_mains=True)
    assert len(await lines(asked, 1)) == 1
    now_s += 3600.0
    await lock.keep(awake=True, on_mains=True)
    assert len(await lines(asked, 2)) == 2
    await lock.close()


async def test_a_machine_without_such_a_program_may_sleep() -> None:
    lock = Wakelock(lambda: NOW_S, platform="linux", has=lambda _: False)

    await lock.keep(awake=True, on_mains=True)

    assert not lock.is_held
    await lock.close()


def test_a_killed_daemon_leaves_no_lock_behind(tmp_path: Path, asked: Path) -> None:
    """On Linux by the pipe; on a Mac caffeinate's own -w sees to it."""
    program(tmp_path, "systemd-inhibit", f'#!/bin/sh\necho $$ >> "{asked}"\nshift 4\nexec "$@"\n')
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "held\n"
            (holder,) = psutil.Process(owner.pid).children()
        finally:
            owner.kill()
    holder.wait(timeout=20)  # raises when it is still there
