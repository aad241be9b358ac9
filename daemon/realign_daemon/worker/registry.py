"""Registry: the functions that the worker child may run, by name. Nothing else can be called over the pipe.

A function takes keyword arguments of plain data and returns plain data (what msgpack holds). Each is named by module
and attribute and imported at its first call, so a child that only parses documents never loads scipy.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final, cast

FUNCTIONS: Final = {
    "documents.read": "realign_daemon.curation.documents.entry:read",
    "intervals.bootstrap_mean": "realign_daemon.curation.metrics.bootstrap:bootstrap_mean",
    "intervals.bootstrap_calibration": "realign_daemon.curation.metrics.bootstrap:bootstrap_calibration",
}


def resolve(target: str) -> Callable[..., object]:
    """The function named by `module:attribute`."""
    module, _, attribute = target.partition(":")
    return cast("Callable[..., object]", getattr(import_module(module), attribute))
