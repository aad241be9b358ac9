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
from realign_daemon.curation.place import spot
from realign_daemon.durable_file import flush_folder, flush_to_disk

ADAPTER_FOLDER = "adapter"
MODEL_FOLDER = "model"  # with the adapter in its weights
FURTHER = ("sharegpt.jsonl", "train.parquet", "valid.parquet")  # formats that not every job writes
_LINE_ENDS = {ord(mark): f"\\u{ord(mark):04x}" for mark in "\x85\u2028\u2029"}  # those that JSON leaves as they are
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
            repeated.append(
                Dropped(stage="export", reason="the same row came twice", content=row.fields | spot(row.provenance))
            )
        else:
            kept[row.fields["id"]] = row
    return [kept[name] for name in sorted(kept)], repeated


def data_set_files(
    rows: Sequence[Row], dropped: Sequence[Dropped], *, summary: Mapping[str, Any], card: str
) -> dict[str, bytes]:
    """The files of a data set by name; adapters and further formats aside, the whole output folder.

    Rows come in their order and keep the order of their fields; provenance.jsonl has one line for each, by its `id`.
    rejected.jsonl has a line for all that was dropped: its stage, its reason and its content.
    """
    rejected = [_rejected(one) for one in dropped]
    return {
        "train.jsonl": lines(row.fields for row in rows if not row.is_held_out),
        "valid.jsonl": lines(row.fields for row in rows if row.is_held_out),
        "provenance.jsonl": lines({"id": row.fields["id"], **row.provenance} for row in rows),
        "rejected.jsonl": lines(sorted(rejected, key=lambda one: json.dumps(one, sort_keys=True))),
        "README.md": card.encode(),
        LAST: (json.dumps(summary, indent=2, ensure_ascii=False) + "\n").encode(),
    }


def write_folder(folder: Path, files: Mapping[str, bytes], *, adapter: Path | None, model: Path | None = None) -> None:
    """Writes the files, and the members of the adapter's and the model's tars under `adapter/` and `model/`.

    A new folder appears at once with everything in it. Into one that exists, each file is moved whole, summary.json
    last; adapter, model and further formats of an earlier run go, other files of the user's stay.

    Raises:
        OSError: the disk is full or the folder may not be written; what was there before is unharmed.
        ValueError: a tar holds something other than plain files.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(staging, ignore_errors=True)  # of a run that crashed
    staging.mkdir()
    try:
        for name, data in files.items():
            _write(staging / name, data)
        for name, tar in ((ADAPTER_FOLDER, adapter), (MODEL_FOLDER, model)):
            if tar is not None:
                (staging / name).mkdir()
                _unpack(tar, staging / name)
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
    for name in (ADAPTER_FOLDER, MODEL_FOLDER):
        if not (staging / name).exists():
            shutil.rmtree(folder / name, ignore_errors=True)
    for stale in FURTHER:
        if not (staging / stale).exists():
            (folder / stale).unlink(missing_ok=True)
    for name in sorted(names, key=lambda name: name.name == LAST):
        (folder / name).parent.mkdir(exist_ok=True)
        (staging / name).replace(folder / name)
    _sync_folders(folder)


def _unpack(tar: Path, folder: Path) -> None:
    with tarfile.open(tar) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is None or member.name != Path(member.name).name:
                raise ValueError(f"{tar.name} holds {member.name!r}, which is no plain file of a model or adapter")
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
    for place in (folder, folder / ADAPTER_FOLDER, folder / MODEL_FOLDER):
        if place.is_dir():
            flush_folder(place)


def _rejected(one: Dropped) -> dict[str, Any]:
    why = {"stage": one.stage, "reason": one.reason}
    return why | one.content | why  # they come first, whatever the content calls its fields


def lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON lines, in which whatever a reader may take for a line's end is escaped."""
    return "".join(json.dumps(row, ensure_ascii=False).translate(_LINE_ENDS) + "\n" for row in rows).encode()
