"""Builders: one authority, and members of it."""

from __future__ import annotations

from functools import cache

from realign_daemon.trust.authority import Authority
from realign_daemon.trust.certificate import DAY_S, parse_certificate
from realign_daemon.trust.keys import PrivateKey, mint_key
from realign_daemon.trust.member import Member
from realign_daemon.trust.roles import MemberRole

NOW = 1_800_000_000.0
YEAR_S = 365 * DAY_S


def authority(name: str = "home") -> Authority:
    return _founded(name)


@cache
def _founded(name: str) -> Authority:
    return Authority.found(name, now_unix_s=NOW)


@cache
def key(name: str) -> PrivateKey:
    return mint_key()


def pem(name: str = "ann", role: MemberRole = "submit", *, by: str = "home", at: float = NOW) -> bytes:
    return authority(by).issue(key(name).public_key(), role=role, name=name, now_unix_s=at)


def member(name: str = "ann", role: MemberRole = "submit", *, at: float = NOW, witness: bool = False) -> Member:
    return Member(
        certificate=parse_certificate(pem(name, role, at=at)), is_witness=witness, added_by="owner", added_at_unix_s=at
    )
