"""Three nodes that serve their models to each other, and a hub on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc.aio
import pytest
from tests.contract.models.node_world import Node, World
from tests.model_hub import ModelHub, Repository, model_hub
from tests.unit.models.conftest import FILES, NAME

from realign_daemon.models import hub_download
from realign_daemon.rpc.interceptor import FaultInterceptor


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World()
    async with AsyncExitStack() as stack:
        for name in ("left", "middle", "right"):
            world.nodes[name] = Node(name, tmp_path / name, world)
        for name, node in world.nodes.items():
            server = grpc.aio.server(interceptors=[FaultInterceptor()])
            node.servicer().add_to(server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            stack.push_async_callback(server.stop, 0)
            world.channels[name] = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            stack.push_async_callback(world.channels[name].close)
        yield world


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    with model_hub({NAME: Repository(FILES)}) as found:
        for variable, value in {**found.environment(), "HF_HOME": "/nowhere", "no_proxy": "*"}.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setattr(hub_download, "FIRST_WAIT_S", 0.0)
        yield found
