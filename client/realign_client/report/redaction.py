"""Redaction: documents of ours with only what a list allows. Pure.

A field that no list names is left out, so that what a later version adds is not shown by mistake. Text that people
wrote, or that may quote it, becomes its length. Names and addresses become aliases: equal ones stay equal within one
report, and as each report has a key of its own nobody can try out which name or address stands behind one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

Rule = Callable[[Any], Any]  # gives what may be shown of a value; OMITTED where that is nothing
OMITTED = object()

# What our own code writes into a field that only it fills: states, stages, figures with their units, dates.
_WORD = re.compile(r"[\w.:+/() -]{0,80}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_SUFFIXES = frozenset({".pdf", ".epub", ".html", ".htm", ".md", ".txt", ".jsonl", ".parquet"})
_ALIAS_LENGTH = 8


def number(value: object) -> object:
    """A number or a switch."""
    return value if value is None or isinstance(value, (bool, int, float)) else OMITTED


def word(value: object) -> object:
    """A word of ours."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else OMITTED


def digest(value: object) -> object:
    """A content hash of weights."""
    return value if isinstance(value, str) and _HASH.fullmatch(value) else OMITTED


def length(value: object) -> object:
    """How long a text is."""
    return f"<{len(value)} characters>" if isinstance(value, str) else OMITTED


def count(value: object) -> object:
    """How many there are."""
    return len(cast("list[object]", value)) if isinstance(value, (list, dict)) else OMITTED


def suffix(value: object) -> object:
    """What kind of file has this name, where it is one of those that jobs read."""
    found = value.lower()[value.rfind(".") :] if isinstance(value, str) and "." in value else ""
    return found if found in _SUFFIXES else "<another kind>"


def setting(value: object) -> object:
    """A setting's value where it is a number."""
    try:
        return float(value) if isinstance(value, str) else number(value)
    except ValueError:
        return length(value)


def each(rule: Rule) -> Rule:
    """For lists."""

    def apply(value: object) -> object:
        if not isinstance(value, list):
            return OMITTED
        shown = (rule(item) for item in cast("list[object]", value))
        return [item for item in shown if item is not OMITTED]

    return apply


def values(rule: Rule) -> Rule:
    """For maps whose keys are ours, or none: `*` stands for the keys."""

    def apply(value: object) -> object:
        if not isinstance(value, dict):
            return OMITTED
        shown = {key: rule(item) for key, item in cast("dict[object, object]", value).items() if word(key) is key}
        return {key: item for key, item in shown.items() if item is not OMITTED}

    return apply


def unnamed(rule: Rule) -> Rule:
    """For maps whose keys are names: their values alone."""
    return lambda value: each(rule)(list(cast("dict[str, object]", value).values()) if isinstance(value, dict) else 0)


def fields(rules: Mapping[str, Rule]) -> Rule:
    """For documents: these fields."""

    def apply(value: object) -> object:
        if not isinstance(value, dict):
            return None if value is None else OMITTED
        document = cast("dict[str, object]", value)
        shown = {key: rule(document[key]) for key, rule in rules.items() if key in document}
        return {key: item for key, item in shown.items() if item is not OMITTED}

    return apply


class Aliases:
    """Stands in for names and addresses."""

    def __init__(self, key: bytes) -> None:
        """A key that nobody knows, made for one report and not kept."""
        self._key = key

    def __call__(self, value: object) -> object:
        """The alias; of a list that of each."""
        if isinstance(value, list):
            return each(self)(value)
        if not isinstance(value, str) or not value:
            return OMITTED
        return f"#{hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:_ALIAS_LENGTH]}"

    def model(self, value: object) -> object:
        """The name of a model that everybody can get; an alias for a folder of somebody's own."""
        if isinstance(value, str) and (value in ("", "pocket") or _HUB_NAME.fullmatch(value)):
            return value
        return self(value)
