"""Output: the files that a job wrote, received into a folder of this machine and checked against their hashes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from realign_client.errors import BadUsage, Damaged
from realign_proto.v1 import curation_pb2 as pb

PART_SUFFIX = ".part"  # a file bears it until its hash was found right


def check_folder(folder: Path) -> None:
    """Raises BadUsage when files could not be written into the folder, which need not be there yet."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise BadUsage(f"the output folder {folder} cannot be written; give another one with --output")


async def receive(chunks: AsyncIterator[pb.FileChunk], folder: Path) -> tuple[Path, ...]:
    """Writes the files below `folder` and returns their paths in the order in which they came.

    A file appears under its name only when it is whole and right; one that was there before is replaced then. The
    path in summary.json is made that of the folder here.

    Raises:
        Damaged: a file is not what its hash says, ends early, or would lie outside the folder.
        OSError: this machine cannot write it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    current: _Arriving | None = None
    try:
        async for chunk in chunks:
            if current is None or current.chunk.path != chunk.path:
                if current is not None:
                    written.append(current.finish())
                current = _Arriving(chunk, safe_path(folder, chunk.path))
            current.write(chunk.data)
        if current is not None:
            written.append(current.finish())
            current = None
    finally:
        if current is not None:
            current.discard()
    _relocate(folder)
    return tuple(written)


def _relocate(folder: Path) -> None:
    """Makes the fetched summary name this machine's copy of the rows; the home node's path stays beside it."""
    summary = folder / "summary.json"
    if not summary.is_file():
        return
    document = json.loads(summary.read_text("utf-8"))
    output = document["output"]
    document["output"] = output | {"path": str(folder.resolve() / "train.jsonl"), "path_on_home": output["path"]}
    summary.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")


def at_home_here(job: pb.Job, folder: Path) -> pb.Job:
    """The job with its fetched files' folder and summary in place of the home node's."""
    here = pb.Job()
    here.CopyFrom(job)
    here.output = str(folder.resolve())
    summary = folder / "summary.json"
    if summary.is_file():
        here.summary_json = summary.read_text("utf-8")
    return here


def safe_path(folder: Path, name: str) -> Path:
    """Where a file of this name goes.

    Raises:
        Damaged: the name is not made of plain parts, or a link in the folder leads out of it.
    """
    parts = name.split("/")
    plain = all(part not in ("", ".", "..") and "\\" not in part and part.isprintable() for part in parts)
    target = folder.joinpath(*parts) if plain else folder
    if not plain or not target.resolve().is_relative_to(folder.resolve()):
        raise Damaged(f"the daemon sent a file called {name!r}, which could lie outside {folder}; nothing was written")
    return target


class _Arriving:
    """One file on its way."""

    def __init__(self, chunk: pb.FileChunk, target: Path) -> None:
        self.chunk = chunk
        self._target = target
        self._part = target.with_name(target.name + PART_SUFFIX)
        self._digest = hashlib.sha256()
        target.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = self._part.open("wb")

    def write(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)

    def finish(self) -> Path:
        size_bytes = self._file.tell()
        if size_bytes != self.chunk.size_bytes or self._digest.hexdigest() != self.chunk.sha256:
            self.discard()
            raise Damaged(f"{self.chunk.path} arrived damaged; fetch the job again")
        self._file.close()
        self._part.replace(self._target)
        return self._target

    def discard(self) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)
