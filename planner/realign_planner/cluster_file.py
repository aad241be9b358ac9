"""The cluster file: a TOML description of machines for planning without any of them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from math import isfinite
from typing import Final, cast

from realign_planner.errors import ClusterFileError
from realign_planner.nodes import ClusterFacts, Link, NodeFacts, SpeedMeasurement

_GB: Final = 1e9
_DEFAULT_USABLE_FRACTION: Final = 0.9  # of installed memory, where a file does not say; the rest is the system's
_CLUSTER_KEYS: Final = {"name", "node", "link"}
_NODE_KEYS: Final = {
    "name",
    "chip",
    "memory_gb",
    "usable_gb",
    "free_gb",
    "gpu_cores",
    "gflops",
    "bandwidth_gbs",
    "peak_batch_size",
    "measured",
    "duty_fraction",
    "portable",
    "paused",
}
_MEASURED_KEYS: Final = {"params_b", "examples_per_s", "model"}
_LINK_KEYS: Final = {"between", "kind", "latency_us", "gbytes_per_s"}


def parse(text: str) -> ClusterFacts:
    """The cluster that a TOML text describes; sizes in it are decimal gigabytes.

    Raises:
        ClusterFileError: names the key, and the node or link that it belongs to.

    """
    try:
        document: Mapping[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"The cluster file is not TOML ({error}); see examples/clusters for the format."
        raise ClusterFileError(message) from error
    top = _Table(document, "the cluster file", _CLUSTER_KEYS)
    nodes = tuple(_node(table, index) for index, table in enumerate(top.tables("node"), start=1))
    if not nodes:
        message = "The cluster file describes no node; add a [[node]] table with name and memory_gb."
        raise ClusterFileError(message)
    names = [node.name for node in nodes]
    for name in names:
        if names.count(name) > 1:
            message = f"The cluster file has two nodes named {name!r}; give each its own name."
            raise ClusterFileError(message)
    links = tuple(_link(table, names) for table in top.tables("link"))
    return ClusterFacts(name=top.text("name", default="cluster"), nodes=nodes, links=links)


def _node(raw: Mapping[str, object], index: int) -> NodeFacts:
    name = _Table(raw, f"node {index}", _NODE_KEYS).text("name")
    table = _Table(raw, f"node {name!r}", _NODE_KEYS)
    memory = table.number("memory_gb") * _GB
    usable = table.number("usable_gb", default=memory / _GB * _DEFAULT_USABLE_FRACTION) * _GB
    if usable > memory:
        message = f"In the cluster file, node {name!r} has usable_gb above memory_gb; lower usable_gb."
        raise ClusterFileError(message)
    duty = table.number("duty_fraction", default=1.0)
    if duty > 1:
        message = f"In the cluster file, node {name!r} has duty_fraction={duty}; it is a share, above 0 and at most 1."
        raise ClusterFileError(message)
    bandwidth = table.optional("bandwidth_gbs")
    free = table.optional("free_gb")
    return NodeFacts(
        name=name,
        chip=table.text("chip", default=""),
        memory_bytes=round(memory),
        usable_bytes=round(usable),
        free_bytes=None if free is None else round(free * _GB),
        gpu_cores=table.whole("gpu_cores"),
        gflops=table.optional("gflops"),
        bandwidth=None if bandwidth is None else bandwidth * _GB,
        peak_batch_size=table.whole("peak_batch_size"),
        measured=tuple(_measurement(entry, name) for entry in table.tables("measured")),
        duty_fraction=duty,
        portable=table.flag("portable"),
        paused=table.flag("paused"),
    )


def _measurement(raw: Mapping[str, object], node: str) -> SpeedMeasurement:
    table = _Table(raw, f"a measured entry of node {node!r}", _MEASURED_KEYS)
    return SpeedMeasurement(
        params_b=table.number("params_b"),
        examples_per_s=table.number("examples_per_s"),
        model=table.text("model", default="") or None,
    )


def _link(raw: Mapping[str, object], names: list[str]) -> Link:
    table = _Table(raw, "a link", _LINK_KEYS)
    between = raw.get("between")
    ends = cast("list[object]", between) if isinstance(between, list) else []
    known = [end for end in ends if isinstance(end, str) and end in names]
    if len(ends) != 2 or len(set(known)) != 2:  # noqa: PLR2004 - a link has two ends
        message = f"In the cluster file, a link has between={between!r}; name two nodes of {', '.join(names)}."
        raise ClusterFileError(message)
    return Link(
        between=(known[0], known[1]),
        kind=table.text("kind"),
        latency_s=table.number("latency_us") / 1e6,
        bytes_per_s=table.number("gbytes_per_s") * _GB,
    )


class _Table:
    """A TOML table that knows what it is called, for errors."""

    def __init__(self, values: Mapping[str, object], where: str, known: set[str]) -> None:
        self._values = values
        self._where = where
        for key in values:
            if key not in known:
                message = (
                    f"In the cluster file, {where} has an unknown key {key!r}; keys are {', '.join(sorted(known))}."
                )
                raise ClusterFileError(message)

    def number(self, key: str, *, default: float | None = None) -> float:
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value <= 0:
            raise self._wrong(key, value, "a number above 0")
        return float(value)

    def optional(self, key: str) -> float | None:
        return self.number(key) if key in self._values else None

    def whole(self, key: str) -> int | None:
        value = self._values.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise self._wrong(key, value, "a whole number from 1")
        return value

    def text(self, key: str, *, default: str | None = None) -> str:
        value = self._values.get(key, default)
        if not isinstance(value, str) or (not value.strip() and default is None):
            raise self._wrong(key, value, "a text")
        return value.strip()

    def flag(self, key: str) -> bool:
        value = self._values.get(key, False)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def tables(self, key: str) -> tuple[Mapping[str, object], ...]:
        value: object = self._values.get(key, [])
        entries = cast("list[object]", value) if isinstance(value, list) else None
        if entries is None or not all(isinstance(entry, dict) for entry in entries):
            raise self._wrong(key, entries, f"a list of tables, each under [[{key}]]")
        return tuple(cast("list[Mapping[str, object]]", entries))

    def _wrong(self, key: str, value: object, wanted: str) -> ClusterFileError:
        found = "is missing" if value is None else f"is {value!r}"
        return ClusterFileError(f"In the cluster file, {key} of {self._where} {found}; give {wanted}.")
