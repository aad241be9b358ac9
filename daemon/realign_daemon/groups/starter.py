"""Starter: engine children as a berth starts them, each a rank or by itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from realign_daemon.engine.environment import EngineSettings, child_environment
from realign_daemon.engine.process import ChildOptions, EngineProcess
from realign_daemon.engine.ranks import Rank, RankEvent


class Starter:
    """See berth.StartProcess."""

    def __init__(self, cache_dir: Path, settings: EngineSettings) -> None:
        """`cache_dir` is this daemon's own, see EngineSupervisor."""
        self._cache_dir, self._settings = cache_dir, settings

    async def __call__(self, rank: Rank | None, *, model: str, on_event: Callable[[RankEvent], None]) -> EngineProcess:
        """A process that runs."""
        scratch = self._cache_dir / "engine"
        scratch.mkdir(parents=True, exist_ok=True)
        return await EngineProcess.start(
            model=model,
            options=ChildOptions(
                blas_cache=self._cache_dir / "blas",
                duty_fraction=self._settings.duty_fraction,
                max_batch_size=self._settings.max_batch_size,
                rank=rank,
            ),
            environment=child_environment(os.environ, self._settings, in_group=rank is not None),
            scratch=scratch,
            on_event=on_event,
        )
