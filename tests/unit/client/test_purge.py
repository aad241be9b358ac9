"""Purge: what is ours goes, what is not stays, and no link leads out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_client.cli import run
from realign_client.data_folder import OURS, entries, is_in_use, is_ours, strangers
from realign_client.errors import BadUsage, LocalFailure
from realign_client.service.purge import check_folder, purge, purge_lines
from realign_client.service.running import stop_running
from realign_daemon.cluster.addresses import Address
from realign_daemon.rpc.server import Server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory that somebody has used."""
    folder = tmp_path / "home" / ".realign"
    (folder / "curated" / "dpo_book").mkdir(parents=True)
    (folder / "curated" / "dpo_book" / "train.jsonl").write_text("x" * 1500)
    (folder / "ledger.sqlite").write_text("x")
    (folder / "realignd.lock").touch()
    monkeypatch.setenv("REALIGN_DATA_DIR", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return folder


def test_everything_of_ours_goes_and_the_folder_with_it(folder: Path) -> None:
    purge(folder)
    assert not folder.exists()
    assert folder.parent.exists()


def test_what_goes_is_listed_with_its_size_and_what_was_promised_elsewhere_is_named(folder: Path) -> None:
    (folder / "deliveries.json").write_text(json.dumps({"dpo-1": {"folder": "/elsewhere", "tries": 0}}))
    lines = purge_lines(folder, None)
    assert [line.split() for line in lines[:2]] == [["WHAT", "FILES", "SIZE"], ["curated", "1", "1.5", "kB"]]
    assert f"4 files, 1.55 kB, in {folder}" in lines
    assert "among them the output of 1 jobs; what was fetched elsewhere stays" in lines
    assert "not delivered yet: dpo-1 to /elsewhere" in lines


def test_what_is_not_ours_stays_and_is_named(folder: Path) -> None:
    (folder / "thesis.pdf").write_text("mine")
    assert f"stays, as it is not realign's: {folder / 'thesis.pdf'}" in purge_lines(folder, None)
    purge(folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.pdf"]


def test_a_link_goes_and_what_it_leads_to_stays(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "row").write_text("mine")
    (folder / "blobs").symlink_to(outside)
    (folder / "curated" / "link").symlink_to(outside)
    (folder / "endpoint").symlink_to(outside / "row")
    assert f"blobs -> {outside} (the link only)" in "\n".join(purge_lines(folder, None))
    purge(folder)
    assert not folder.exists()
    assert (outside / "row").read_text() == "mine"


def test_a_folder_that_is_not_surely_ours_is_refused(folder: Path, tmp_path: Path) -> None:
    home = folder.parent
    link = tmp_path / "link"
    link.symlink_to(folder)
    papers = tmp_path / "papers"
    (papers / "cache").mkdir(parents=True)
    (papers / "thesis.pdf").write_text("mine")
    for wrong, said in (
        (link, "no link is followed"),
        (home, "holds your home folder"),
        (Path("/"), "holds your home folder"),
        (papers, "does not look like a data directory"),
        (papers / "thesis.pdf", "is no folder"),
    ):
        with pytest.raises(BadUsage, match=said):
            check_folder(wrong, home=home)
    check_folder(folder, home=home)
    check_folder(tmp_path / "nothing", home=home)


def test_a_socket_that_a_crash_left_elsewhere_goes_too_and_nothing_else_that_the_pointer_names(
    folder: Path, tmp_path: Path
) -> None:
    left, other = tmp_path / "realign-abc", tmp_path / "papers"
    for place in (left, other):
        place.mkdir()
        (place / "realignd.sock").touch()
    (folder / "socket").write_text(f"{other / 'realignd.sock'}\n")
    purge(folder)
    assert (other / "realignd.sock").exists()
    folder.mkdir()
    (folder / "socket").write_text(f"{left / 'realignd.sock'}\n")
    purge(folder)
    assert not left.exists()


def test_a_daemon_that_does_not_say_who_it_is_stops_the_purge_before_anything_went(folder: Path) -> None:
    with Server(data_dir=folder, listen=Address(host="127.0.0.1", port=0)).claim():
        assert is_in_use(folder)
        with pytest.raises(LocalFailure, match="does not answer; end it by hand"):
            purge(folder)
    assert (folder / "ledger.sqlite").exists()
    assert not is_in_use(folder)
    stop_running(folder)


def test_the_command_asks_first_and_a_dry_run_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["daemon", "uninstall", "--purge"]) == 2
    assert "nobody can be asked" in capsys.readouterr().err
    assert run(["daemon", "uninstall", "--purge", "--dry-run"]) == 0
    assert "ledger.sqlite" in capsys.readouterr().out
    assert (folder / "ledger.sqlite").exists()
    assert run(["daemon", "uninstall", "--purge", "--yes"]) == 0
    assert not folder.exists()
    capsys.readouterr()
    assert run(["daemon", "uninstall", "--purge", "--yes"]) == 0
    assert capsys.readouterr().out == "there is nothing of realign on this machine\n"


@given(st.sampled_from([name for name in OURS if "*" not in name]), st.text("abc_", min_size=1, max_size=8))
def test_a_file_on_its_way_to_its_name_is_ours_and_one_that_only_resembles_it_is_not(name: str, more: str) -> None:
    assert is_ours(name)
    assert is_ours(f".{name}.{more}")
    assert not is_ours(f"{more}{name}")


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert (entries(tmp_path / "a"), strangers(tmp_path / "a"), is_in_use(tmp_path / "a")) == ((), (), False)
