"""Tasks and results as canonical msgpack bytes: the same value gives the same bytes on every machine."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import cattrs
import msgpack
from cattrs.gen import make_dict_unstructure_fn, override

from realign_daemon.engine.api import (
    Fill,
    Filled,
    Fuse,
    Fused,
    Generate,
    Generated,
    Render,
    Rendered,
    Result,
    Score,
    Scored,
    Task,
    Train,
    Trained,
)
from realign_daemon.engine.frames import unpack_body

MAX_BYTES = 64 * 1024 * 1024  # no task or result comes near; a longer one is damage or an attack

_T = TypeVar("_T")
_TASKS: dict[str, type[Task]] = {
    "generate": Generate,
    "fill": Fill,
    "score": Score,
    "train": Train,
    "render": Render,
    "fuse": Fuse,
}
_RESULTS: dict[str, type[Result]] = {
    "generated": Generated,
    "filled": Filled,
    "scored": Scored,
    "trained": Trained,
    "rendered": Rendered,
    "fused": Fused,
}
_converter = cattrs.Converter(forbid_extra_keys=True)
# Written only where it says something: an older node refuses what it does not know.
_converter.register_unstructure_hook(
    Filled, make_dict_unstructure_fn(Filled, _converter, samples=override(omit_if_default=True))
)


def pack(value: object) -> bytes:
    """Plain data as msgpack with sorted map keys, so that equal values are equal bytes."""
    return cast("Any", msgpack).packb(_sorted(value), use_bin_type=True)


def unpack(data: bytes) -> Any:  # noqa: ANN401 - plain data
    """Plain data from msgpack. Raises ValueError on anything malformed or too long."""
    if len(data) > MAX_BYTES:
        message = f"a frame of {len(data)} bytes is longer than {MAX_BYTES}"
        raise ValueError(message)
    return unpack_body(data)


def encode(value: Task | Result) -> bytes:
    """The canonical bytes of a task or result."""
    return pack(_converter.unstructure(value))


def decode_task(data: bytes) -> Task:
    """The task in the bytes. Raises ValueError when they hold none."""
    return cast("Task", _decode(data, _TASKS))


def decode_result(data: bytes) -> Result:
    """The result in the bytes. Raises ValueError when they hold none."""
    return cast("Result", _decode(data, _RESULTS))


def structured(plain: object, kind: type[_T]) -> _T:
    """A dataclass from plain data, as dataclasses.asdict makes it. Raises ValueError when it does not fit."""
    try:
        return _converter.structure(plain, kind)
    except (cattrs.BaseValidationError, TypeError, KeyError) as error:
        message = f"a malformed {kind.__name__}"
        raise ValueError(message) from error


def _decode(data: bytes, kinds: dict[str, Any]) -> object:
    plain = unpack(data)
    kind = cast("dict[str, Any]", plain).get("kind") if isinstance(plain, dict) else None
    if kind not in kinds:
        message = f"unknown kind {kind!r}"
        raise ValueError(message)
    return structured(cast("object", plain), kinds[kind])


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(item) for key, item in sorted(cast("dict[str, object]", value).items())}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in cast("list[object]", value)]
    return value
