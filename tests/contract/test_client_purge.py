"""A fresh install that has run is gone after a purge: nothing is left, not even of a daemon that still ran."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from realign_client.daemon_process import DaemonProcess

REALIGNCTL = [sys.executable, "-c", "from realign_client.cli import main; main()"]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")
    }


def realignctl(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*REALIGNCTL, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Shorter than pytest's, as systems have it: a socket's path has some hundred characters at most."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def test_after_a_purge_the_machine_is_as_before_the_install(tmp_path: Path, temporary: Path) -> None:
    home = tmp_path / "home"
    (home / "papers").mkdir(parents=True)
    (home / "papers" / "train.jsonl").write_text("delivered here")
    before = tree(tmp_path)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("REALIGN_", "SUDO_"))}
    environment = {**own, "HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    named = {"HOME": str(home), "TMPDIR": str(temporary), "REALIGN_BENCHMARK__ON_START": "false"}
    with DaemonProcess(home / ".realign", "--no-discovery", environment=named) as daemon:
        daemon.wait_until_ready()
        assert realignctl("status", environment=environment).returncode == 0
        assert (home / ".realign" / "ledger.sqlite").exists()
        purged = realignctl("daemon", "uninstall", "--purge", "--yes", environment=environment)
        assert (purged.returncode, purged.stderr) == (0, "")
        assert "ledger.sqlite" in purged.stdout
        assert "realign is gone from this machine" in purged.stdout
    assert tree(tmp_path) == before
    assert not tree(temporary)
