"""JSON lines: the records of a file that has one JSON object a line."""

from __future__ import annotations

import json
from typing import cast

from realign_daemon.curation.documents.decoding import decode_utf8
from realign_daemon.curation.documents.document import BadLine, DocumentError
from realign_daemon.curation.documents.records import Numbered

MOST_BAD_LINES = 10_000  # each is reported by itself; a file with more of them is something else


def read_jsonl(data: bytes, name: str) -> tuple[tuple[Numbered, ...], tuple[BadLine, ...]] | DocumentError:
    """The object of every line that is not blank, by the line's number, and the lines that are none.

    A file without any object, or with very many other lines, is refused.
    """
    text = decode_utf8(data, name)
    if isinstance(text, DocumentError):
        return text
    records: list[Numbered] = []
    bad: list[BadLine] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        record = _object(line)
        if not isinstance(record, str):
            records.append((number, record))
        elif len(bad) < MOST_BAD_LINES:
            bad.append(BadLine(line=number, why=record))
        else:
            return _refused(
                name, f"more than {MOST_BAD_LINES} lines are no JSON objects; line {bad[0].line} {bad[0].why}"
            )
    if bad and not records:
        return _refused(name, f"no line is a JSON object; line {bad[0].line} {bad[0].why}")
    return tuple(records), tuple(bad)


def _refused(name: str, why: str) -> DocumentError:
    message = f"{name} cannot be used: {why}: write one JSON object a line"
    return DocumentError(kind="damaged", file=name, message=message)


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
