"""Shared by every test: nothing reaches beyond loopback, and no test sees the user's own daemon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_user_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A test sees no REALIGN_* variable and no data directory of the person who runs it, and never asks a model hub."""
    for name in list(os.environ):
        if name.startswith("REALIGN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REALIGN_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("REALIGN_CLIENT_DIR", str(tmp_path / "client"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
