"""Code inside: what runs in the sandbox, as the text of a script: takes a program and steps, gives values.

It is not trusted: the program may take it over completely. It never learns what answers are expected, so all that can
be forged is a value, and the right value is the right answer. Standard library only; no part of the daemon is in there.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
from typing import Any

MAX_DEPTH = 50
_CONTAINERS: tuple[Any, ...] = (dict, list, tuple, set, frozenset)


def encoded(value: object, depth: int = 0) -> list[Any]:  # noqa: PLR0911 - one for each type
    """The value as JSON that keeps Python's types apart; ["?"] for what is no plain data, subclasses as their base."""
    if depth > MAX_DEPTH:
        return ["?"]
    match value:
        case None | bool():
            return ["=", value]
        case int():
            return ["int", hex(value)]
        case float():
            return ["float", float.hex(value)]
        case complex():
            return ["complex", float.hex(value.real), float.hex(value.imag)]
        case str():
            return ["str", str.__str__(value)]
        case bytes() | bytearray():
            return ["bytes", bytes(value).hex()]
        case _:
            kind: Any = next((kind for kind in _CONTAINERS if isinstance(value, kind)), None)
            if kind is None:
                return ["?"]
            items = getattr(kind, "items", kind.__iter__)(value)
            return [kind.__name__, [encoded(item, depth + 1) for item in items]]


def main(payload_fd: int, results_fd: int) -> None:
    """Runs the program, then each step, and writes one line for the start and one for each value."""
    with open(payload_fd, encoding="utf-8") as file:
        payload = json.load(file)
    for name, limit in payload["limits"].items():
        try:
            resource.setrlimit(getattr(resource, name), (limit, limit))
        except (ValueError, OSError):
            continue  # macOS knows some limits by name only
    os.write(results_fd, b"ready\n")
    if payload["steps"] is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), encoding="utf-8")
    names: dict[str, Any] = {
        "__name__": "__main__" if payload["steps"] is None else "solution",
        "__builtins__": __builtins__,
    }
    exec(compile(payload["program"], "<program>", "exec"), names)  # noqa: S102 - what the sandbox is for
    for step in payload["steps"] or ():
        if step["is_value"]:
            value = eval(compile(step["source"], "<test>", "eval"), names)  # noqa: S307 - see above
            os.write(results_fd, json.dumps(encoded(value)).encode() + b"\n")
        else:
            exec(compile(step["source"], "<test>", "exec"), names)  # noqa: S102
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
