"""A client's own folder."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.trust.trust_world import NOW, YEAR_S, authority, pem

from realign_client.credentials import (
    Credentials,
    certificate_request,
    forget_credentials,
    keep_credentials,
    load_credentials,
    mint_key,
    pinned_authority,
)
from realign_client.errors import Damaged, LocalFailure, NoCluster
from realign_daemon.trust.certificate import DAY_S
from realign_daemon.trust.keys import requested_key
from realign_proto.token import Token


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REALIGN_CLIENT_DIR", str(tmp_path / "client"))
    return tmp_path / "client"


def enrolled(key: bytes | None = None) -> Credentials:
    key = key or mint_key()
    public = requested_key(certificate_request(key))
    return Credentials(
        cluster="home",
        addresses=("10.0.0.2:7411",),
        key_pem=key,
        certificate_pem=authority().issue(public, role="submit", name="ann", now_unix_s=NOW),
        authorities_pem=authority().pem,
    )


def test_what_was_kept_is_found_again_and_nobody_else_can_read_it(folder: Path) -> None:
    assert load_credentials() is None
    credentials = enrolled()
    keep_credentials(credentials)

    assert load_credentials() == credentials
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    forget_credentials()
    assert load_credentials() is None
    assert list(folder.iterdir()) == []


def test_a_second_cluster_takes_the_place_of_the_first() -> None:
    keep_credentials(enrolled())
    second = replace(enrolled(), cluster="work")
    keep_credentials(second)

    assert load_credentials() == second


def test_a_key_that_others_may_read_is_refused_with_the_command_that_mends_it(folder: Path) -> None:
    keep_credentials(enrolled())
    (folder / "client.key").chmod(0o644)

    with pytest.raises(LocalFailure, match=r"client\.key can be used by other users.*run `chmod 600 "):
        load_credentials()


def test_a_certificate_for_another_key_is_not_kept() -> None:
    keep_credentials(first := enrolled())

    with pytest.raises(Damaged, match="the certificate is not for this client's key"):
        keep_credentials(replace(enrolled(), certificate_pem=pem()))
    assert load_credentials() == first


@pytest.mark.parametrize("name", ["client.key", "client.pem", "authorities.pem", "cluster.json"])
@pytest.mark.parametrize("content", [b"", b"[]", None])
def test_a_damaged_folder_says_how_to_go_on(folder: Path, name: str, content: bytes | None) -> None:
    keep_credentials(enrolled())
    if content is not None:
        (folder / name).write_bytes(content)
    elif name == "client.pem":
        return
    else:
        (folder / name).unlink()

    with pytest.raises(Damaged, match="run `realignctl cluster join` with a new invitation"):
        load_credentials()


def test_a_client_knows_when_its_certificate_does_not_count_and_when_to_renew_it() -> None:
    credentials = enrolled()

    assert credentials.refusal(NOW) is None
    assert "expired on 2028-01-15; run `realignctl cluster join`" in str(credentials.refusal(NOW + YEAR_S + 1))
    assert "not valid before 2027-01-14" in str(credentials.refusal(NOW - DAY_S - 1))
    assert not credentials.is_half_way(NOW)
    assert credentials.is_half_way(NOW + 182 * DAY_S)


def test_only_the_authority_that_the_invitation_names_is_trusted() -> None:
    token = Token.mint(authority().bundle.digests[0])
    other = authority("elsewhere").pem

    assert pinned_authority(b"a line before\n" + authority().pem, token) == authority().pem
    for answer in (other, authority().pem + other, other + authority().pem, b"", b"junk"):
        with pytest.raises(NoCluster, match="is not the one that the invitation is for"):
            pinned_authority(answer, token)
