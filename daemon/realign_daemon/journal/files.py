"""Files: brings the files that things of other nodes name, before those things count as held."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from realign_daemon.clock import Clock
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import DamagedBlob
from realign_daemon.journal.entries import Ref
from realign_daemon.journal.journal import Item
from realign_daemon.journal.source import Source, TooLarge

log = structlog.get_logger()

LARGE_BYTES = 1024**3  # files above it are kept by two nodes, not by all
LARGE_WAIT_S = 10.0  # for a second node to show that it has a large file: its home fetches it from who made it


class Files:
    """The files of what other nodes hold."""

    def __init__(self, *, hold_blob: Callable[[Sha256], bool], room_bytes: Callable[[], int], clock: Clock) -> None:
        """`hold_blob` says whether a blob is here, and keeps it until what names it is taken in, too.

        `room_bytes` is what other nodes' things may still take of the disk.
        """
        self._hold_blob = hold_blob
        self._room_bytes = room_bytes
        self._clock = clock
        self._holders: dict[Ref, set[str]] = {}  # of things with files, as far as their nodes were met

    def are_here(self, node: str, ref: Ref, wanted: tuple[Sha256, ...]) -> bool:
        """Whether all files of a thing that the node holds are here; then they are kept until it is taken in, too."""
        if wanted:
            self._holders.setdefault(ref, set()).add(node)
        return all(map(self._hold_blob, wanted))

    async def bring(self, node: str, source: Source, item: Item, wanted: tuple[Sha256, ...]) -> bool:
        """Whether the item's files are here now, or nowhere. False when it has to be left out for them.

        To be asked after `are_here` was.

        Raises:
            ConnectionError: the node can't be reached.
        """
        about = {"node": node, "kind": item.ref.kind, "ref": item.ref.ref}
        for sha256 in wanted:
            try:
                if not self._hold_blob(sha256) and not await self._fetch(source, item.ref, sha256):
                    log.warning("journal.file_gone", sha256=sha256, **about)
            except DamagedBlob:
                log.error("journal.file_damaged", sha256=sha256, remedy="check that node's disk", **about)  # noqa: TRY400 - another node's fault
                return False
            except TooLarge as error:
                log.info("journal.file_left", sha256=sha256, size_bytes=error.size_bytes, **about)
                return False
        return True

    async def _fetch(self, source: Source, ref: Ref, sha256: Sha256) -> bool:
        try:
            return await source.fetch_blob(sha256, max_bytes=min(LARGE_BYTES, self._room_bytes()))
        except TooLarge as error:
            if error.size_bytes > self._room_bytes():
                raise
        await self._clock.sleep(LARGE_WAIT_S)
        is_kept_by_two = len(self._holders[ref]) > 1
        return await source.fetch_blob(sha256, max_bytes=LARGE_BYTES if is_kept_by_two else self._room_bytes())
