"""Settings for a bug report: what somebody set, without what it says of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import fields
from typing import Any

from realign_daemon.config import Config


def shown_settings(config: Config) -> Mapping[str, Mapping[str, object]]:
    """Every setting by section: numbers and switches as they are; of all others whether they are set, or how many."""
    return {
        section.name: _section(getattr(config, section.name)) for section in fields(config) if section.name != "shares"
    } | {"shares": {"folders": len(config.shares)}}


def _section(section: Any) -> Mapping[str, object]:  # noqa: ANN401 - any section
    default = type(section)()
    return {field.name: _shown(getattr(section, field.name), getattr(default, field.name)) for field in fields(section)}


def _shown(value: object, default: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if value == default:
        return "as by default"
    return f"{len(value)} set" if isinstance(value, Sized) and not isinstance(value, str) else "set"
