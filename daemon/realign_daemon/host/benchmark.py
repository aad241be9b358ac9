"""Benchmarks: what was measured on this machine, kept until something that it depends on changes."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import structlog

from realign_daemon.durable_file import replace_file
from realign_daemon.engine.api import ComputeBenchmark, Engine, LocalModel, ModelBenchmark, ModelId
from realign_daemon.engine.codec import structured
from realign_daemon.shortage import outlasted

_log = structlog.get_logger()
_T = TypeVar("_T")
_COMPUTE = "compute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Generic[_T]):
    """A benchmark, when it was measured (RFC 3339, UTC) and which software and duty it belongs to."""

    value: _T
    measured_at: str
    conditions: str


def software() -> str:
    """The versions that a speed depends on. Reads package metadata; imports none of them."""
    names = ("realign-cluster", "mlx", "mlx-lm")
    return ", ".join([*(f"{name} {_version(name)}" for name in names), platform.platform()])


class Benchmarks:
    """Measures through the engine at most once for each model, software and duty fraction."""

    def __init__(
        self,
        engine: Engine,
        data_dir: Path,
        *,
        duty_fraction: float = 1.0,
        budget_s: float = 20.0,
        software: Callable[[], str] = software,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Results are kept in `data_dir/benchmark.json`; `budget_s` bounds each of the two kinds of measurement."""
        self._engine, self._file, self._budget_s, self._now = engine, data_dir / "benchmark.json", budget_s, now
        self._conditions = f"{software()}, duty {duty_fraction:g}"
        self._kept = self._read()
        self._read_out: dict[str, Measured[Any]] = {}  # what is known, as values: they are asked for at every beat

    async def compute(self, *, force: bool = False) -> Measured[ComputeBenchmark]:
        """The machine's arithmetic and memory speed. Raises what Engine.benchmark_compute raises."""
        kept = self.known_compute()
        if kept is not None and not force:
            return kept
        return self._keep(_COMPUTE, await self._engine.benchmark_compute(budget_s=self._budget_s))

    async def model(self, model: LocalModel, *, force: bool = False) -> Measured[ModelBenchmark]:
        """The model's speed on this machine. Raises what Engine.benchmark_model raises."""
        kept = self.known_model(model.model)
        if kept is not None and not force:
            return kept
        return self._keep(model.model, await self._engine.benchmark_model(model, budget_s=self._budget_s))

    def known_compute(self) -> Measured[ComputeBenchmark] | None:
        """What is known without measuring."""
        return self._known(_COMPUTE, ComputeBenchmark)

    def known_model(self, model: ModelId) -> Measured[ModelBenchmark] | None:
        """What is known without measuring."""
        return self._known(model, ModelBenchmark)

    def _known(self, key: str, kind: type[_T]) -> Measured[_T] | None:
        if key not in self._read_out and (found := self._kept_value(key, kind)) is not None:
            self._read_out[key] = found
        return self._read_out.get(key)

    def _kept_value(self, key: str, kind: type[_T]) -> Measured[_T] | None:
        entry = self._kept.get(key)
        if entry is None or entry.get("conditions") != self._conditions:
            return None
        try:
            value = structured(entry["value"], kind)
        except (KeyError, ValueError):
            return None  # written by a version with other figures
        return Measured(value=value, measured_at=str(entry.get("measured_at", "")), conditions=self._conditions)

    def _keep(self, key: str, value: _T) -> Measured[_T]:
        measured_at = self._now().astimezone(UTC).isoformat(timespec="seconds")
        entry = {"value": asdict(cast("Any", value)), "measured_at": measured_at, "conditions": self._conditions}
        self._kept[key] = entry
        self._read_out.pop(key, None)
        with outlasted("benchmark.not_kept"):
            replace_file(self._file, json.dumps(self._kept, indent=1, sort_keys=True).encode())
        _log.info("benchmark.measured", key=key, conditions=self._conditions)
        return Measured(value=value, measured_at=measured_at, conditions=self._conditions)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            return cast("dict[str, dict[str, Any]]", json.loads(self._file.read_text()))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning("benchmark.unreadable", file=str(self._file), error=repr(error))
            return {}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"
