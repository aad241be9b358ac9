"""The trust folder: private, complete, and found again after any crash."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.unit.trust.trust_world import NOW, authority, key

from realign_daemon.errors import BadConfig, Damaged
from realign_daemon.trust import store as store_module
from realign_daemon.trust.authority import Authority
from realign_daemon.trust.bundle import Bundle
from realign_daemon.trust.certificate import parse_certificate
from realign_daemon.trust.keys import key_pem, spki_hash
from realign_daemon.trust.store import Holdings, TrustStore


def issued(holdings: Holdings, by: Authority) -> bytes:
    return by.issue(holdings.key.public_key(), role="node", name="studio", now_unix_s=NOW)


def founded(folder: Path) -> TrustStore:
    store = TrustStore(folder)
    store.keep_founding(authority(), issued(store.load(), authority()))
    return store


def test_the_key_is_minted_once_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    first = TrustStore(tmp_path).load()
    again = TrustStore(tmp_path).load()

    assert spki_hash(first.key.public_key()) == spki_hash(again.key.public_key())
    assert (first.certificate, first.bundle, first.authority) == (None, Bundle(), None)
    assert stat.S_IMODE((tmp_path / "trust").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "trust" / "node.key").stat().st_mode) == 0o600


def test_a_founder_finds_all_it_had(tmp_path: Path) -> None:
    certificate_pem = issued(TrustStore(tmp_path).load(), authority())
    TrustStore(tmp_path).keep_founding(authority(), certificate_pem)

    found = TrustStore(tmp_path).load()

    assert found.certificate == parse_certificate(certificate_pem)
    assert found.bundle == authority().bundle
    assert found.authority is not None
    assert (found.authority.pem, key_pem(found.authority.key)) == (authority().pem, key_pem(authority().key))
    assert found.bundle.cluster == "home"
    assert stat.S_IMODE((tmp_path / "trust" / "authority.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["node.key", "authority.key"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_may_use_stops_the_start_with_the_command_that_mends_it(
    tmp_path: Path, name: str, mode: int
) -> None:
    store = founded(tmp_path)
    path = tmp_path / "trust" / name
    path.chmod(mode)

    with pytest.raises(BadConfig) as refusal:
        store.load()

    assert f"{path} can be used by other users of this machine; run `chmod 600 {path}`" in str(refusal.value)
    path.chmod(0o600)
    assert store.load().certificate is not None


def test_a_key_behind_a_link_is_refused(tmp_path: Path) -> None:
    store = founded(tmp_path)
    path = tmp_path / "trust" / "node.key"
    path.rename(tmp_path / "elsewhere.key")
    path.symlink_to(tmp_path / "elsewhere.key")

    with pytest.raises(BadConfig, match="cannot be opened"):
        store.load()


def test_a_missing_key_is_not_replaced_while_there_is_a_certificate_for_it(tmp_path: Path) -> None:
    store = founded(tmp_path)
    (tmp_path / "trust" / "node.key").unlink()

    with pytest.raises(Damaged, match=r"node\.key is missing beside its certificate"):
        store.load()


@pytest.mark.parametrize("name", ["node.key", "authority.key", "authorities.pem", "node.pem"])
@pytest.mark.parametrize("content", [b"", b"junk", key_pem(key("another"))])
def test_a_damaged_file_stops_the_start(tmp_path: Path, name: str, content: bytes) -> None:
    store = founded(tmp_path)
    (tmp_path / "trust" / name).write_bytes(content)

    with pytest.raises(Damaged):
        store.load()


def crashing_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets this many files be replaced, and then none."""
    real, done = store_module.replace_file, [0]

    def replace_file(path: Path, content: bytes) -> None:
        if done[0] == writes:
            raise OSError
        done[0] += 1
        real(path, content)

    monkeypatch.setattr(store_module, "replace_file", replace_file)


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_crash_while_founding_leaves_a_machine_in_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    before = TrustStore(tmp_path).load()
    with monkeypatch.context() as patch:
        crashing_after(writes, patch)
        with pytest.raises(OSError):
            TrustStore(tmp_path).keep_founding(authority(), issued(before, authority()))

    found = TrustStore(tmp_path).load()
    assert (found.certificate, found.bundle, found.authority) == (None, Bundle(), None)
    assert spki_hash(found.key.public_key()) == spki_hash(before.key.public_key())


def test_a_successor_waits_beside_the_authority_until_it_takes_its_place(tmp_path: Path) -> None:
    store = founded(tmp_path)
    before, new = store.load(), authority("home again")

    store.keep_successor(new)

    waiting = store.load()
    assert waiting.bundle == before.bundle
    assert waiting.authority is not None
    assert waiting.authority.pem == authority().pem
    assert waiting.successor is not None
    assert (waiting.successor.pem, key_pem(waiting.successor.key)) == (new.pem, key_pem(new.key))
    assert stat.S_IMODE((tmp_path / "trust" / "authority.next.key").stat().st_mode) == 0o600

    store.keep_bundle(Bundle(pems=(new.pem, authority().pem)))
    store.succeed()
    store.succeed()

    found = store.load()
    assert found.authority is not None
    assert (found.authority.pem, key_pem(found.authority.key)) == (new.pem, key_pem(new.key))
    assert found.successor is None


def test_an_authority_that_a_crash_left_while_another_cluster_was_founded_is_not_taken_for_this_ones(
    tmp_path: Path,
) -> None:
    store = TrustStore(tmp_path)
    certificate_pem = issued(store.load(), authority("joined"))
    founded(tmp_path)
    store.keep_certificate(certificate_pem, authority("joined").bundle)

    found = store.load()

    assert found.authority is None
    assert found.bundle == authority("joined").bundle


def test_who_has_left_keeps_the_key_and_nothing_else(tmp_path: Path) -> None:
    store = founded(tmp_path)
    store.keep_successor(authority("home again"))
    before = store.load()

    store.forget()
    store.forget()

    found = store.load()
    assert (found.certificate, found.bundle, found.authority) == (None, Bundle(), None)
    assert spki_hash(found.key.public_key()) == spki_hash(before.key.public_key())
    assert [path.name for path in (tmp_path / "trust").iterdir()] == ["node.key"]
