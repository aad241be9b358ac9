"""Further formats: the rows of an output folder once more, in the formats that the user asked for beside JSON lines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from realign_daemon.curation.export import FURTHER, lines
from realign_daemon.curation.formats.sharegpt import conversation
from realign_daemon.curation.material import Row

SHAREGPT, TRAIN_PARQUET, VALID_PARQUET = FURTHER

Compute = Callable[[str, dict[str, object]], Awaitable[Any]]  # runs a function of the worker child


async def further_files(rows: Sequence[Row], exports: str, compute: Compute) -> dict[str, bytes]:
    """The files by name that `exports` adds: jsonl none, sharegpt, parquet, or all; no file is without rows.

    sharegpt.jsonl holds the training rows only: its readers split off rows for validation themselves.
    """
    training = [row.fields for row in rows if not row.is_held_out]
    held_out = [row.fields for row in rows if row.is_held_out]
    files: dict[str, bytes] = {}
    if exports in {"sharegpt", "all"} and training:
        files[SHAREGPT] = lines(conversation(row) for row in training)
    for name, part in ((TRAIN_PARQUET, training), (VALID_PARQUET, held_out)):
        if exports in {"parquet", "all"} and part:
            files[name] = await compute("formats.parquet", {"rows": part})
    return files
