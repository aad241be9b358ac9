"""References: what this node, by itself, found for the canary of each model that fits it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from realign_daemon.durable_file import replace_file
from realign_daemon.engine.api import ModelId
from realign_daemon.groups.canary import VERSION
from realign_daemon.groups.messages import Logprobs
from realign_daemon.shortage import outlasted


class References:
    """Kept in one file by weights, MLX's version and the canary's. The methods read and write it: call in a thread."""

    def __init__(self, file: Path, *, mlx: str) -> None:
        self._file, self._mlx = file, mlx

    def of(self, model: ModelId) -> Logprobs:
        """What was found; () where nothing was."""
        return tuple(map(tuple, self._all().get(self._key(model), ())))

    def keep(self, model: ModelId, found: Logprobs) -> None:
        """Remembers it."""
        self._save({**self._all(), self._key(model): [list(row) for row in found]})

    def forget(self, model: ModelId) -> None:
        """A group that was measured by it computed something wrong, so it is found out anew next time."""
        kept = self._all()
        if kept.pop(self._key(model), None) is not None:
            self._save(kept)

    def _key(self, model: ModelId) -> str:
        return f"{model}/{self._mlx}/{VERSION}"

    def _all(self) -> dict[str, list[list[float]]]:
        try:
            return cast("dict[str, list[list[float]]]", json.loads(self._file.read_text()))
        except (OSError, ValueError):
            return {}  # a reference can be found out again

    def _save(self, kept: dict[str, list[list[float]]]) -> None:
        with outlasted("reference.not_kept"):
            replace_file(self._file, json.dumps(kept).encode())
