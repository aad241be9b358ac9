"""EndpointSettings: one `[[engine.endpoints]]` of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import cast

from realign_daemon.endpoints.url import ServerUrl, read_url

STANDARD_CONCURRENCY = 8  # what fills a small server, and what a large one takes from one client without a word


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """A server that is not ours, and what of it may be used."""

    name: str
    url: ServerUrl
    models: Mapping[str, str] = field(default_factory=dict[str, str])  # our name -> its name; empty: all it lists
    api_key_env: str = ""  # the variable of the daemon's environment that holds the key
    concurrency: int = STANDARD_CONCURRENCY  # requests in flight
    requests_per_minute: float = 0.0  # 0: no limit
    templates: str = "standard"  # prompt template set
    seeds: bool = True  # whether requests name a seed; without one some servers batch better
    deadline_s: float = 600.0  # for one answer


def read_endpoints(value: object) -> tuple[EndpointSettings, ...]:
    """The endpoints in a list of tables, as TOML gives it.

    Raises:
        ValueError, TypeError: one is not understood; the text says what is needed.
    """
    if not isinstance(value, list):
        raise TypeError("a list of tables is needed, each beginning with [[engine.endpoints]]")
    found = tuple(_read(table) for table in cast("list[object]", value))
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise ValueError("each endpoint needs a name of its own")
    return found


def _read(table: object) -> EndpointSettings:
    if not isinstance(table, Mapping):
        raise TypeError("a table with a name and a url is needed")
    given = cast("Mapping[str, object]", table)
    if unknown := sorted(given.keys() - {one.name for one in fields(EndpointSettings)}):
        known = ", ".join(one.name for one in fields(EndpointSettings))
        raise ValueError(f"there is no {unknown[0]} in an endpoint; there are {known}")
    name, url = given.get("name"), given.get("url")
    if not isinstance(name, str) or not name.strip() or not isinstance(url, str):
        raise ValueError("an endpoint needs a name and a url")
    settings = EndpointSettings(
        name=name.strip(),
        url=read_url(url),
        models=_texts(given, "models"),
        api_key_env=_text(given, "api_key_env", ""),
        concurrency=int(_number(given, "concurrency", STANDARD_CONCURRENCY)),
        requests_per_minute=_number(given, "requests_per_minute", 0.0),
        templates=_text(given, "templates", "standard"),
        seeds=given.get("seeds", True) is True,
        deadline_s=_number(given, "deadline_s", 600.0),
    )
    if settings.concurrency < 1 or settings.deadline_s <= 0:
        raise ValueError(f"{name}: concurrency and deadline_s must be above 0")
    return settings


def _text(given: Mapping[str, object], key: str, default: str) -> str:
    value = given.get(key, default)
    if isinstance(value, str):
        return value
    raise TypeError(f"{key} must be a text")


def _number(given: Mapping[str, object], key: str, default: float) -> float:
    value = given.get(key, default)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return value
    raise TypeError(f"{key} must be a number of zero or more")


def _texts(given: Mapping[str, object], key: str) -> Mapping[str, str]:
    value = given.get(key, {})
    if isinstance(value, Mapping):
        table = cast("Mapping[object, object]", value)
        if all(isinstance(one, str) and one for pair in table.items() for one in pair):
            return cast("Mapping[str, str]", table)
    raise TypeError(f"{key} must be a table of our names and the server's")
