"""The daemons that the client starts for itself: real processes, ready when they say so and gone when they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from realign_client.api import connect
from realign_client.daemon_process import DaemonProcess
from realign_client.errors import LocalFailure
from realign_client.reach import accepts

QUIET = {"REALIGN_BENCHMARK__ON_START": "false"}


async def test_a_daemon_answers_at_the_address_that_it_gives_and_is_gone_afterwards(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path / "d", "--no-discovery", "--listen", "127.0.0.1:0", environment=QUIET) as daemon:
        address = daemon.wait_until_ready()
        async with connect(address) as client:
            assert (await client.status()).node.data_dir == str(tmp_path / "d")
    assert not accepts(address)


def test_a_daemon_that_cannot_start_is_explained_by_its_own_words(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, "--listen", "nonsense") as daemon, pytest.raises(LocalFailure, match="nonsense"):
        daemon.wait_until_ready()


def test_the_address_of_an_earlier_daemon_is_not_taken_for_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "endpoint").write_text("127.0.0.1:1\n")
    with DaemonProcess(tmp_path, "--no-discovery", "--listen", "127.0.0.1:0", environment=QUIET) as daemon:
        assert daemon.wait_until_ready() != "127.0.0.1:1"
