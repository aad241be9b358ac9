"""Nodes: each with its trust, without a journal between them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust import store as store_module
from realign_daemon.trust.keys import PrivateKey, certificate_request
from realign_daemon.trust.principal import OWNER
from realign_daemon.trust.registrar import Registrar
from realign_daemon.trust.shared_facts import Issued, merges
from realign_daemon.trust.store import TrustStore
from realign_daemon.trust.trust import Enrolled, Trust


class OneMemory:
    """SharedFacts of a node alone, which a restart leaves as they are."""

    def __init__(self) -> None:
        self.issued: Issued = lambda _pem: False
        self.disk = Disk()
        self.puts = 0
        self._held: dict[tuple[str, str], bytes] = {}

    async def put(self, kind: str, ref: str, payload: bytes) -> None:
        try:
            self.disk.write()
        except OSError as error:
            raise sqlite3.OperationalError("database or disk is full") from error
        self.puts += 1
        self._held[kind, ref] = merges(self.issued)[kind](ref, payload, self._held.get((kind, ref)))

    async def all(self, kind: str) -> Mapping[str, bytes]:
        return {ref: payload for (held, ref), payload in self._held.items() if held == kind}

    async def changes(self) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield


class Disk:
    """Where ledger and trust folder lie."""

    def __init__(self) -> None:
        self.writes = 0
        self.failing = range(0)  # which of the next writes fail

    def fail(self, failing: range) -> None:
        """These of the writes that come fail; an empty range: none does."""
        self.writes, self.failing = 0, failing

    def write(self) -> None:
        """One more write. Raises OSError."""
        self.writes += 1
        if self.writes - 1 in self.failing:
            raise OSError(28, "No space left on device")


class Node:
    """A node's trust, on one clock with the others."""

    def __init__(self, folder: Path, clock: ManualClock, facts: OneMemory | None = None) -> None:
        self.facts = facts or OneMemory()
        self.facts.issued = lambda pem: self.trust.issued(pem)  # noqa: PLW0108 - there is no trust yet
        self.trust: Trust = Trust(store=TrustStore(folder), facts=self.facts, clock=clock, node_name="n")
        self.registrar = Registrar(self.trust, clock)


async def enrolled(home: Node, key: PrivateKey, role: str = "node") -> Enrolled:
    token = home.registrar.invite(role=role, name="", ttl_s=60, by=OWNER)
    _, one = await home.registrar.enrol(
        secret=token.secret_text, request_pem=certificate_request(key), name="new", is_witness=False
    )
    return one


def counted(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has each write of a trust folder pass the disk first."""
    replace_file, flush_folder, replace = store_module.replace_file, store_module.flush_folder, Path.replace

    def replacing(path: Path, content: bytes) -> None:
        disk.write()
        replace_file(path, content)

    def flushing(folder: Path) -> None:
        disk.write()
        flush_folder(folder)

    def renaming(path: Path, target: Path) -> Path:
        disk.write()
        return replace(path, target)

    monkeypatch.setattr(store_module, "replace_file", replacing)
    monkeypatch.setattr(store_module, "flush_folder", flushing)
    monkeypatch.setattr(Path, "replace", renaming)
