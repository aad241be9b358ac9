"""Every test here is played in both worlds."""

from __future__ import annotations

import pytest
from tests.contract.testing.worlds import WORLDS, Play


@pytest.fixture(params=WORLDS, ids=lambda world: world.__name__)
def play(request: pytest.FixtureRequest) -> Play:
    return request.param
