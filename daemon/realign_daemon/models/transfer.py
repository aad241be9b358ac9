"""Transfer: the files of one model on their way into the store, from another node or from the hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from realign_daemon.engine.api import ModelId
from realign_daemon.errors import Damaged, Full
from realign_daemon.files.partial import Partial
from realign_daemon.models.hub import Offer
from realign_daemon.models.manifest import Manifest, ModelFile
from realign_daemon.models.store import ModelStore

STEP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a source must give at the least: so many bytes in each so many seconds that it is waited for."""

    size_bytes: int
    seconds: float


# A wireless link at its worst gives more, and at this pace a model of 4 GB would take 33 hours.
LEAST_PACE = Pace(size_bytes=1_000_000, seconds=30.0)


class TooSlow(ConnectionError):
    """A node gives a model so slowly that another one is better asked."""


class Copy(Protocol):
    """A model on another node. What it says is not believed before it is checked."""

    node: str  # name
    model: ModelId

    async def manifest(self) -> Manifest:
        """Its files. Raises ConnectionError."""
        ...

    def read(self, file: str, offset: int) -> AsyncGenerator[bytes]:
        """A file's bytes from there on. Raises ConnectionError."""
        ...


class HubFiles(Protocol):
    """See models.hub.Hub."""

    async def look_up(self, name: str, revision: str = "") -> Offer:
        """What the hub has under the name."""
        ...

    async def download(self, manifest: Manifest, file: ModelFile, path: Path) -> None:
        """Puts a file at the path."""
        ...


async def copied(
    copy: Copy, manifest: Manifest, store: ModelStore, *, pace: Pace | None = None
) -> AsyncGenerator[None]:
    """Puts every file of another node's model into the store, each behind what of it is there; a step for each piece.

    Raises:
        TooSlow: the node does not keep the pace.
        ConnectionError: the node does not give it.
        Damaged: a file is not what the manifest says; nothing of that one is kept.
    """
    for file in manifest.files:
        partial = Partial(store.partial(manifest, file), file.sha256)
        began = 0 < partial.bytes_here <= file.size_bytes
        async with aclosing(_completed(copy, file, partial, pace)) as steps:
            async for step in steps:
                yield step
        try:
            await partial.check()
        except Damaged:
            if not began:
                raise
        else:
            continue
        async with aclosing(
            _completed(copy, file, partial, pace)
        ) as steps:  # its beginning may have come from elsewhere
            async for step in steps:
                yield step
        await partial.check()


async def _completed(copy: Copy, file: ModelFile, partial: Partial, pace: Pace | None) -> AsyncGenerator[None]:
    """Has the file as long as it should be, behind what of it is there; a step for each piece."""
    if partial.bytes_here > file.size_bytes:
        partial.path.unlink()
    if (offset := partial.bytes_here) < file.size_bytes:
        read = copy.read(file.name, offset)
        async with aclosing(_kept_up(read, copy.node, pace) if pace else read) as pieces:
            async for data in pieces:
                if not 0 < len(data) <= file.size_bytes - offset:
                    raise ConnectionError(f"{copy.node} sends nothing of {file.name}, or more than there is")
                partial.add(offset, data)
                offset += len(data)
                yield
    if offset < file.size_bytes:
        raise ConnectionError(f"{copy.node} ended {file.name} too early")
    partial.path.touch()  # also where it is empty


async def _kept_up(pieces: AsyncGenerator[bytes], node: str, pace: Pace) -> AsyncGenerator[bytes]:
    """The pieces. Only the time that they are waited for counts. Raises TooSlow."""
    clock = asyncio.get_running_loop().time
    missing, left_s = pace.size_bytes, pace.seconds
    async with aclosing(pieces):
        while True:
            began_s = clock()
            try:
                async with asyncio.timeout(left_s):
                    data = await anext(pieces, None)
            except TimeoutError as error:
                raise TooSlow(f"{node} gives less than {pace.size_bytes / 1e6:g} MB in {pace.seconds:g} s") from error
            if data is None:
                return
            missing, left_s = missing - len(data), left_s - (clock() - began_s)
            if missing <= 0:
                missing, left_s = pace.size_bytes, pace.seconds
            yield data


async def downloaded(hub: HubFiles, manifest: Manifest, store: ModelStore) -> AsyncGenerator[None]:
    """Puts every file of the hub's model into the store, each behind what of it is there; a step each second.

    Raises:
        RealignError: as Hub.download.
    """
    for file in manifest.files:
        path = store.partial(manifest, file)
        download = asyncio.create_task(hub.download(manifest, file, path), name=f"model.{file.name}")
        try:
            while not download.done():
                await asyncio.wait({download}, timeout=STEP_S)
                yield
            await download
        finally:
            download.cancel()
            await asyncio.gather(download, return_exceptions=True)


async def stored(steps: AsyncGenerator[None]) -> AsyncGenerator[None]:
    """The steps. Raises Full where the disk takes no more."""
    async with aclosing(steps):
        try:
            async for step in steps:
                yield step
        except ConnectionError:
            raise
        except OSError as error:
            raise not_stored(error) from error


def not_stored(error: OSError) -> Full:
    """What is said where the disk takes no more."""
    return Full(f"the model could not be stored ({error.strerror or error}); make room on this node's disk, then go on")
