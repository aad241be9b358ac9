"""Tables: rows as Parquet. Runs in the worker child."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyarrow is untyped.

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """A Parquet file of the rows, in their order; the same bytes for the same rows and the same pyarrow.

    A column for every field in the order in which fields appear, null where a row has none; messages are a list of
    role and content.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {
        name: pa.array([row.get(name) for row in rows], type=_MESSAGES if name == "messages" else None)
        for name in names
    }
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="zstd")
    return file.getvalue()
