"""DividedAdapters: adapters on a model that is divided over ranks, where LoRA layers cannot sit beside its own."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from realign_daemon.engine.child.peers import Peers
from realign_daemon.engine.child.shard import read_part, read_weights


class DividedAdapters:
    """Reads the model anew for every change, with the adapter in its weights; at most one is there at a time."""

    def __init__(self, network: Any, folder: Path, peers: Peers, on_weight: Callable[[], None]) -> None:
        """`network` is this rank's part of the model in the folder."""
        self._network, self._folder, self._peers, self._on_weight = network, folder, peers, on_weight
        self.attached = ""  # sha256 of the adapter that is in the weights

    def swap(self, sha256: str, blob: Path | None) -> None:
        """Leaves just this adapter in the weights, or none. Raises BadTask when it does not fit the model."""
        if sha256 == self.attached:
            return
        fresh, _, _ = read_part(self._folder, self._peers, blob)
        self._network.update(fresh.parameters())  # the old weights go before the new ones are read
        read_weights(self._network, self._on_weight)
        self.attached = sha256
