"""Output: the files that a job wrote, received into a folder of this machine: all of them right, or none."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from realign_client.errors import BadUsage, Damaged
from realign_proto.v1 import curation_pb2 as pb

PART_SUFFIX = ".part"  # a file bears it until all of them were found right
SUMS = "SHA256SUMS"
SUMMARY = "summary.json"
SHOWN_NAMES = 3  # of files that are wrong


def check_folder(folder: Path) -> None:
    """Raises BadUsage when files could not be written into the folder, which need not be there yet."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise BadUsage(f"the output folder {folder} cannot be written; give another one with --output")


async def receive(chunks: AsyncIterator[pb.FileChunk], folder: Path) -> tuple[Path, ...]:
    """Writes the files below `folder` and returns their paths in the order in which they came.

    Files appear under their names only when all of them are whole and right; what was there before is replaced then.
    The path in summary.json is made that of the folder here, and SHA256SUMS names the hash that it has then.

    Raises:
        Damaged: a file is not what its hash or SHA256SUMS says, ends early, or would lie outside the folder; or the
            summary is none.
        OSError: this machine cannot write it.
    """
    files: list[_Arriving] = []
    try:
        async for chunk in chunks:
            if not files or files[-1].chunk.path != chunk.path:
                if files:
                    files[-1].finish()
                files.append(_Arriving(chunk, safe_path(folder, chunk.path)))
            files[-1].write(chunk.data)
        if files:
            files[-1].finish()
        _check_sums(files)
        _relocate(files, folder)
        written = tuple(file.place() for file in files)
    finally:
        for file in reversed(files):  # the first ones made the folders that the others lie in
            file.discard()
    return written


def _named(files: Sequence[_Arriving], name: str) -> _Arriving | None:
    return next((file for file in files if file.chunk.path == name), None)


def _check_sums(files: Sequence[_Arriving]) -> None:
    """Raises Damaged when a file is not what the job's SHA256SUMS says, where there is one."""
    sums = _named(files, SUMS)
    if sums is None:
        return
    found = {file.chunk.path: file.sha256 for file in files}
    lines = (line.partition("  ") for line in sums.text().splitlines())
    wrong = [name if name in found else f"{name} (missing)" for sha256, _, name in lines if found.get(name) != sha256]
    if wrong:
        named = ", ".join(wrong[:SHOWN_NAMES]) + (f" and {len(wrong) - SHOWN_NAMES} more" * (len(wrong) > SHOWN_NAMES))
        raise Damaged(
            f"the job's SHA256SUMS has other hashes for {named}: changed on the home after the job had written them; "
            "fetch again, and if that does not help `realignctl retry` writes them anew"
        )


def _relocate(files: Sequence[_Arriving], folder: Path) -> None:
    """Makes the arriving summary name this machine's copy of the rows; the home node's path stays beside it.

    Raises Damaged when it is not what a job writes.
    """
    summary, sums = _named(files, SUMMARY), _named(files, SUMS)
    if summary is None:
        return
    try:
        document = json.loads(summary.text())
        output = document["output"]
        document["output"] = output | {"path": str(folder.resolve() / "train.jsonl"), "path_on_home": output["path"]}
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise Damaged(
            f"the job's {SUMMARY} is not one that a job writes ({error!r}), and nothing was placed; "
            "`realignctl retry` writes it anew"
        ) from error
    as_written = summary.sha256
    summary.rewrite(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    if sums is not None:
        sums.rewrite(sums.text().replace(f"{as_written}  {SUMMARY}\n", f"{summary.sha256}  {SUMMARY}\n"))


def at_home_here(job: pb.Job, folder: Path) -> pb.Job:
    """The job with its fetched files' folder and summary in place of the home node's."""
    here = pb.Job()
    here.CopyFrom(job)
    here.output = str(folder.resolve())
    summary = folder / SUMMARY
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
    """One file on its way: hashed as it comes, under another name until all have come."""

    def __init__(self, chunk: pb.FileChunk, target: Path) -> None:
        self.chunk = chunk
        self._target = target
        self._part = target.with_name(target.name + PART_SUFFIX)
        self._digest = hashlib.sha256()
        self._new_folders = [parent for parent in target.parents if not parent.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = self._part.open("wb")

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)

    def finish(self) -> None:
        size_bytes = self._file.tell()
        self._file.close()
        if size_bytes != self.chunk.size_bytes or self.sha256 != self.chunk.sha256:
            raise Damaged(f"{self.chunk.path} arrived damaged; fetch the job again")

    def text(self) -> str:
        try:
            return self._part.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise Damaged(f"{self.chunk.path} holds no text; `realignctl retry` writes it anew") from error

    def rewrite(self, text: str) -> None:
        data = text.encode()
        self._part.write_bytes(data)
        self._digest = hashlib.sha256(data)

    def place(self) -> Path:
        return self._part.replace(self._target)

    def discard(self) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)
        with suppress(OSError):  # it holds something
            for new in self._new_folders:
                new.rmdir()
