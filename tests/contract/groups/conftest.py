"""What nodes alone find for the canary, found out once: it takes a process of its own and two seconds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from realign_daemon.engine.api import LocalModel
from realign_daemon.engine.environment import EngineSettings
from realign_daemon.grouping import mlx_version
from realign_daemon.groups.berth import sing
from realign_daemon.groups.messages import Logprobs
from realign_daemon.groups.references import References
from realign_daemon.groups.starter import Starter


@pytest.fixture(scope="session")
def canaries(real_model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("canaries")

    async def found() -> Logprobs:
        process = await Starter(folder, EngineSettings())(None, model=real_model.name, on_event=lambda _: None)
        try:
            await process.request({"op": "load", "path": str(real_model.path)}, stall_timeout_s=60.0)
            return await sing(lambda body: process.request(body, stall_timeout_s=60.0), real_model)
        finally:
            await process.kill("it has said what it finds")

    file = folder / "canaries.json"
    References(file, mlx=mlx_version()).keep(real_model.model, asyncio.run(found()))
    return file
