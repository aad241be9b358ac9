"""Shared by every test: nothing reaches beyond loopback, and no test sees the user's own daemon."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_user_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees no REALIGN_* variable of the person who runs it and never asks a model hub."""
    import os

    for name in list(os.environ):
        if name.startswith("REALIGN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
