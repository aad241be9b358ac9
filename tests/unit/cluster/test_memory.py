"""What a node keeps over a restart: its identity, its term, its address book."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.identity import load_identity
from realign_daemon.cluster.state import ClusterState, StateFile
from realign_daemon.errors import Damaged

if TYPE_CHECKING:
    from pathlib import Path


def test_the_node_id_stays_and_the_boot_id_changes(tmp_path: Path) -> None:
    first, second = load_identity(tmp_path / "data"), load_identity(tmp_path / "data")

    assert first.node == second.node
    assert first.boot != second.boot
    assert len(first.node) == 26


def test_the_identity_is_for_its_owner_only(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)

    load_identity(tmp_path / "data")

    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "trust" / "node.key").stat().st_mode & 0o777 == 0o600


def test_an_id_from_before_there_were_keys_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "node.json").write_text('{"node_id": "abcdefghijklmnopqrstuvwxyz"}')

    first, second = load_identity(tmp_path), load_identity(tmp_path)

    assert first.node == second.node != "abcdefghijklmnopqrstuvwxyz"
    assert not (tmp_path / "node.json").exists()


def test_a_damaged_key_is_never_replaced_silently(tmp_path: Path) -> None:
    load_identity(tmp_path)
    (tmp_path / "trust" / "node.key").write_text("no key")

    with pytest.raises(Damaged, match="holds no readable key; restore it"):
        load_identity(tmp_path)
    assert (tmp_path / "trust" / "node.key").read_text() == "no key"


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    state = ClusterState(
        term=7,
        leader=NodeId("a"),
        addresses={NodeId("b"): (Address(host="fd00::1", port=5), Address(host="h", port=6))},
    )
    StateFile(tmp_path).save(state)

    assert StateFile(tmp_path).load() == state
    assert [file.name for file in tmp_path.iterdir()] == ["cluster.json"]


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"term": null, "leader": null, "addresses": {}}', "\0"])
def test_a_damaged_state_counts_as_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / "cluster.json").write_text(damage)

    assert StateFile(tmp_path).load() == ClusterState()
