"""Output folder: a job's files, the same bytes for the same rows, written so that a crash leaves no half of one."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from realign_daemon.curation.material import Dropped, Row
from realign_daemon.durable_file import flush_folder, flush_to_disk

ADAPTER_FOLDER = "adapter"
LAST = "summary.json"  # renamed last: where it is, everything is


def row_id(fields: Mapping[str, Any]) -> str:
    """The name of a row: SHA-256 of the trainer's fields, whatever their order. An `id` among them is ignored."""
    content = {key: value for key, value in fields.items() if key != "id"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def without_repeats(rows: Sequence[Row]) -> tuple[list[Row], list[Dropped]]:
    """The rows by `id`, each id once, and what was left out.

    Of equal rows one is kept, the held-out one if there is such, so that nothing trained on is tested on.
    """
    kept: dict[str, Row] = {}
    repeated: list[Dropped] = []
    for row in sorted(rows, key=lambda row: not row.is_held_out):
        if row.fields["id"] in kept:
            repeated.append(Dropped(stage="export", reason="the same row came twice", content=row.fields))
        else:
            kept[row.fields["id"]] = row
    return [kept[name] for name in sorted(kept)], repeated


def data_set_files(
    rows: Sequence[Row], dropped: Sequence[Dropped], *, summary: Mapping[str, Any], card: str
) -> dict[str, bytes]:
    """The files of a data set by name; adapters aside, the whole output folder.

    Rows come in their order and keep the order of their fields; provenance.jsonl has one line for each, by its `id`.
    """
    rejected = [{"stage": one.stage, "reason": one.reason, **one.content} for one in dropped]
    return {
        "train.jsonl": _lines(row.fields for row in rows if not row.is_held_out),
        "valid.jsonl": _lines(row.fields for row in rows if row.is_held_out),
        "provenance.jsonl": _lines({"id": row.fields["id"], **row.provenance} for row in rows),
        "rejected.jsonl": _lines(sorted(rejected, key=lambda one: json.dumps(one, sort_keys=True))),
        "README.md": card.encode(),
        LAST: (json.dumps(summary, indent=2, ensure_ascii=False) + "\n").encode(),
    }


def write_folder(folder: Path, files: Mapping[str, bytes], *, adapter: Path | None) -> None:
    """Writes the files, and the members of the adapter's tar under `adapter/`, into a folder.

    A new folder appears at once with everything in it. Into one that exists, each file is moved whole, summary.json
    last; an adapter of an earlier run goes, other files of the user's stay.

    Raises:
        OSError: the disk is full or the folder may not be written; what was there before is unharmed.
        ValueError: the adapter's tar holds something other than plain files.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(staging, ignore_errors=True)  # of a run that crashed
    staging.mkdir()
    try:
        for name, data in files.items():
            _write(staging / name, data)
        if adapter is not None:
            (staging / ADAPTER_FOLDER).mkdir()
            _unpack(adapter, staging / ADAPTER_FOLDER)
        if folder.exists():
            _move_into(folder, staging)
        else:
            _sync_folders(staging)
            staging.rename(folder)
        flush_folder(folder.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _move_into(folder: Path, staging: Path) -> None:
    names = sorted(path.relative_to(staging) for path in staging.rglob("*") if path.is_file())
    if not (staging / ADAPTER_FOLDER).exists():
        shutil.rmtree(folder / ADAPTER_FOLDER, ignore_errors=True)
    for name in sorted(names, key=lambda name: name.name == LAST):
        (folder / name).parent.mkdir(exist_ok=True)
        (staging / name).replace(folder / name)
    _sync_folders(folder)


def _unpack(adapter: Path, folder: Path) -> None:
    with tarfile.open(adapter) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is None or member.name != Path(member.name).name:
                raise ValueError(f"{adapter.name} holds {member.name!r}, which is no plain file of an adapter")
            with content, (folder / member.name).open("wb") as target:
                shutil.copyfileobj(content, target)
                target.flush()
                flush_to_disk(target.fileno())


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        flush_to_disk(file.fileno())


def _sync_folders(folder: Path) -> None:
    for place in (folder, folder / ADAPTER_FOLDER):
        if place.is_dir():
            flush_folder(place)


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
