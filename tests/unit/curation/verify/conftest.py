"""A machine with a sandbox; elsewhere the tests that need one say so and are left out."""

from __future__ import annotations

import pytest

from realign_daemon.curation.verify.sandbox import sandbox


@pytest.fixture(scope="session")
def confinement() -> None:
    report = sandbox()
    if not report["available"]:
        pytest.skip(f"no sandbox on this machine: {report['reason']}")
