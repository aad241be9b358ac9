"""Parquet: the records of a Parquet file. Imports pyarrow, so it is imported in the worker child and when needed."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyarrow is untyped; what comes out of it is cast.

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from realign_daemon.curation.documents.document import DocumentError
from realign_daemon.curation.documents.records import Numbered

BATCH_ROWS = 1024
# It bounds what a small file may unpack to: in Python's own values it is several times as much.
MAX_UNPACKED_BYTES = 256 * 1024 * 1024


def read_parquet(data: bytes, name: str) -> tuple[Numbered, ...] | DocumentError:
    """The row of every number, without columns of bytes (pictures, sound), or why the file cannot be used."""
    records: list[Numbered] = []
    unpacked_bytes = 0
    try:
        file = cast("Any", pq).ParquetFile(BytesIO(data))
        columns = [field.name for field in file.schema_arrow if not _is_bytes(field.type)]
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            unpacked_bytes += batch.nbytes
            if unpacked_bytes > MAX_UNPACKED_BYTES:
                limit = MAX_UNPACKED_BYTES // (1024 * 1024)
                message = f"{name} cannot be used: it unpacks to more than {limit} MiB: split it into several files"
                return DocumentError(kind="unsupported", file=name, message=message)
            rows = cast("list[dict[str, object]]", batch.to_pylist())
            records += [
                (len(records) + number, cast("Mapping[str, object]", _plain(row)))
                for number, row in enumerate(rows, start=1)
            ]
    except (pa.ArrowException, OSError, ValueError) as error:
        if "decrypt" in str(cast("Exception", error)):
            message = f"{name} is encrypted: write a copy without encryption and use that"
            return DocumentError(kind="encrypted", file=name, message=message)
        message = (
            f"{name} is damaged and cannot be read as Parquet ({cast('Exception', error)}): write or download it again"
        )
        return DocumentError(kind="damaged", file=name, message=message)
    return tuple(records)


def _is_bytes(kind: object) -> bool:
    types = cast("Any", pa).types
    return any(is_kind(kind) for is_kind in (types.is_binary, types.is_large_binary, types.is_fixed_size_binary))


def _plain(value: object) -> object:
    """The value as JSON knows it: dates and decimals as text, bytes as null."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in cast("dict[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in cast("list[object]", value)]
    if value is None or isinstance(value, str | int | float):
        return value
    return None if isinstance(value, bytes) else str(value)
