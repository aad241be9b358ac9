"""Source: another node's journal, as this node takes it in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from realign_daemon.engine.api import Sha256
from realign_daemon.journal.entries import Position, Ref
from realign_daemon.journal.journal import Batch, Item


class TooLarge(Exception):
    """A file is larger than was allowed for."""

    def __init__(self, size_bytes: int) -> None:
        """Of the file."""
        self.size_bytes = size_bytes
        super().__init__(f"the file has {size_bytes} bytes")


class Source(Protocol):
    """Every method raises ConnectionError when the node can't be reached."""

    def follow(self, position: Position) -> AsyncGenerator[Batch]:
        """Its headers from there on, and every new one; the first batch comes at once and may be empty."""
        ...

    def fetch(self, refs: Sequence[Ref]) -> AsyncGenerator[Item]:
        """Those things that it still holds."""
        ...

    async def fetch_blob(self, sha256: Sha256, *, max_bytes: int) -> bool:
        """Puts its file on local disk; False when it has it no more. Raises DamagedBlob, TooLarge."""
        ...

    async def digests(self) -> Mapping[str, str]:
        """For each kind that it knows a digest of all that it holds; none where it makes no digests."""
        ...
