"""The world of these tests as fixtures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.files.world import Line, Node, line_to, two_nodes


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[tuple[Node, Node]]:
    async with two_nodes(tmp_path) as both:
        yield both


@pytest.fixture
async def line(nodes: tuple[Node, Node]) -> AsyncIterator[Line]:
    async with line_to(nodes[1]) as one:
        yield one
