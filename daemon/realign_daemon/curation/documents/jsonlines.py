"""JSON lines: the records of a file that has one JSON object a line."""

from __future__ import annotations

import json
from typing import cast

from realign_daemon.curation.documents.decoding import decode_utf8
from realign_daemon.curation.documents.document import DocumentError
from realign_daemon.curation.documents.records import Numbered


def read_jsonl(data: bytes, name: str) -> tuple[Numbered, ...] | DocumentError:
    """The object of every line that is not blank, by the line's number, or which line is none."""
    text = decode_utf8(data, name)
    if isinstance(text, DocumentError):
        return text
    records: list[Numbered] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        record = _object(line)
        if isinstance(record, str):
            message = f"{name} cannot be used: line {number} {record}: write one JSON object a line"
            return DocumentError(kind="damaged", file=name, message=message)
        records.append((number, record))
    return tuple(records)


def _object(line: str) -> dict[str, object] | str:
    """The object, or what the line is instead."""
    try:
        value = json.loads(line)
        if "\\ud" in line.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        return f"is not JSON ({error.msg}, character {error.pos + 1})"
    except UnicodeEncodeError:
        return "holds one half of a character that is written in two"
    except RecursionError:
        return "is nested too deep"
    except ValueError as error:  # a whole number of thousands of digits
        return f"cannot be read ({error})"
    if not isinstance(value, dict):
        return f"is a JSON {'array' if isinstance(value, list) else 'value'} and not an object"
    return cast("dict[str, object]", value)
