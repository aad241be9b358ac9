"""Config values: how a setting of a given type is read from TOML, a flag, or the text of an environment variable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, cast

from realign_daemon.cluster.addresses import Address
from realign_daemon.endpoints.settings import EndpointSettings, read_endpoints

Value = TypeVar("Value")


def read_value(wanted: object, value: object) -> object:
    """The value as the type that a setting is annotated with.

    Raises:
        ValueError, TypeError: it cannot be read as that; the text says what is needed.
    """
    return next(read for kind, read in READERS if kind == wanted)(value)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    message = "a text is needed"
    raise TypeError(message)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    message = "true or false is needed"
    raise TypeError(message)


def _number(value: object) -> float:
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        number = float(value)
        if 0 <= number < float("inf"):
            return number
    message = "a number of zero or more is needed"
    raise ValueError(message)


def _count(value: object) -> int:
    if isinstance(value, (int, str)) and not isinstance(value, bool) and int(value) >= 0:
        return int(value)
    message = "a whole number of zero or more is needed"
    raise ValueError(message)


def _path(value: object) -> Path:
    if isinstance(value, (str, Path)) and str(value):
        try:
            return Path(value).expanduser().absolute()
        except RuntimeError as error:
            raise ValueError("nobody of that name has a home folder here") from error
    message = "a path is needed"
    raise TypeError(message)


def _address(value: object) -> Address:
    return value if isinstance(value, Address) else Address.parse(_text(value))


def _each(read: Callable[[object], Value]) -> Callable[[object], tuple[Value, ...]]:
    def read_all(value: object) -> tuple[Value, ...]:
        if isinstance(value, str):
            value = [part for part in value.split(",") if part.strip()]
        if not isinstance(value, (list, tuple)):
            message = "a list is needed"
            raise TypeError(message)
        return tuple(read(part) for part in cast("list[object]", value))

    return read_all


def _table(value: object) -> Mapping[str, str]:
    if isinstance(value, str):
        pairs = (part.partition("=") for part in value.split(",") if part.strip())
        value = {key.strip(): content for key, _, content in pairs}
    if not isinstance(value, Mapping):
        message = "a table of texts is needed"
        raise TypeError(message)
    return {_text(key): _text(inner) for key, inner in cast("Mapping[object, object]", value).items()}


READERS: tuple[tuple[object, Callable[[object], object]], ...] = (
    (str, _text),
    (bool, _flag),
    (float, _number),
    (float | None, _number),
    (int, _count),
    (Path, _path),
    (Address, _address),
    (Address | None, _address),
    (tuple[Path, ...], _each(_path)),
    (tuple[str, ...], _each(_text)),
    (tuple[EndpointSettings, ...], read_endpoints),
    (tuple[Address, ...], _each(_address)),
    (Mapping[str, str], _table),
)
