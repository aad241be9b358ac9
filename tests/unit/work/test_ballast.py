"""The ballast's promises: it takes real room, only where there is some, and comes back when there is some again."""

from __future__ import annotations

from pathlib import Path

from realign_daemon.work.ballast import Ballast

MEBIBYTE = 2**20
MORE_THAN_ANY_DISK = 2**70


def test_the_ballast_takes_the_room_that_it_gives_back(tmp_path: Path) -> None:
    path = tmp_path / "ballast"
    ballast = Ballast(path, least_free_bytes=0, size_bytes=2 * MEBIBYTE)
    ballast.keep()
    assert path.stat().st_size == 2 * MEBIBYTE
    assert path.stat().st_blocks * 512 >= 2 * MEBIBYTE
    assert ballast.drop()
    assert not ballast.drop()
    ballast.keep()
    assert path.exists()


def test_a_disk_with_little_room_is_not_filled_with_ballast(tmp_path: Path) -> None:
    Ballast(tmp_path / "ballast", least_free_bytes=MORE_THAN_ANY_DISK).keep()
    assert list(tmp_path.glob("ballast*")) == []


def test_what_a_crash_left_of_a_ballast_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "ballast.new").write_bytes(b"half")
    Ballast(tmp_path / "ballast", least_free_bytes=0, size_bytes=MEBIBYTE).keep()
    assert [(file.name, file.stat().st_size) for file in tmp_path.glob("ballast*")] == [("ballast", MEBIBYTE)]
