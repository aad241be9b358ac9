"""Benchmarks are measured once for what they depend on, and again when that changes."""

from __future__ import annotations

import errno
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from realign_daemon.engine.api import ComputeBenchmark, LocalModel, ModelBenchmark, ModelId
from realign_daemon.host import benchmark
from realign_daemon.host.benchmark import Benchmarks, software
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.work.blobs import BlobStore

MODEL = LocalModel(
    name="m", model=ModelId("a" * 64), path=Path("/m"), params_b=1, active_params_b=1, bits=4, weight_bytes=1
)


class CountingEngine(ScriptedEngine):
    """Counts what it is asked to measure."""

    measured = 0

    async def benchmark_model(self, model: LocalModel, *, budget_s: float) -> ModelBenchmark:
        self.measured += 1
        return await super().benchmark_model(model, budget_s=budget_s)

    async def benchmark_compute(self, *, budget_s: float) -> ComputeBenchmark:
        self.measured += 1
        return await super().benchmark_compute(budget_s=budget_s)


def benchmarks(engine: CountingEngine, folder: Path, *, version: str = "realign 1", duty: float = 1.0) -> Benchmarks:
    return Benchmarks(
        engine,
        folder,
        duty_fraction=duty,
        software=lambda: version,
        now=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC),
    )


async def test_a_benchmark_is_measured_once_and_survives_a_restart(tmp_path: Path) -> None:
    engine = CountingEngine(BlobStore(tmp_path / "blobs"))
    first = await benchmarks(engine, tmp_path).model(MODEL)
    compute = await benchmarks(engine, tmp_path).compute()
    assert (first.value.peak_batch_size, first.measured_at) == (8, "2026-11-23T12:00:00+00:00")
    later = benchmarks(engine, tmp_path)
    assert (await later.model(MODEL), await later.compute()) == (first, compute)
    assert (later.known_model(MODEL.model), later.known_compute()) == (first, compute)
    assert engine.measured == 2


async def test_a_benchmark_that_a_full_disk_does_not_keep_counts_until_the_daemon_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(benchmark, "replace_file", full)
    measured = benchmarks(CountingEngine(BlobStore(tmp_path / "blobs")), tmp_path)
    assert await measured.model(MODEL) == measured.known_model(MODEL.model)


async def test_it_is_measured_again_by_force_or_when_software_duty_or_model_changed(tmp_path: Path) -> None:
    engine = CountingEngine(BlobStore(tmp_path / "blobs"))
    await benchmarks(engine, tmp_path).model(MODEL)
    await benchmarks(engine, tmp_path).model(MODEL, force=True)
    await benchmarks(engine, tmp_path, version="realign 2").model(MODEL)
    await benchmarks(engine, tmp_path, version="realign 2", duty=0.5).model(MODEL)
    assert engine.measured == 4
    assert benchmarks(engine, tmp_path).known_model(MODEL.model) is None
    assert benchmarks(engine, tmp_path, version="realign 2", duty=0.5).known_model(ModelId("b" * 64)) is None


async def test_a_damaged_file_is_measured_anew(tmp_path: Path) -> None:
    engine = CountingEngine(BlobStore(tmp_path / "blobs"))
    for damage in ("{", json.dumps({"compute": {"value": {}, "conditions": "realign 1, duty 1"}})):
        (tmp_path / "benchmark.json").write_text(damage)
        assert benchmarks(engine, tmp_path).known_compute() is None
    await benchmarks(engine, tmp_path).compute()
    assert engine.measured == 1
    assert benchmarks(engine, tmp_path).known_compute() is not None


def test_the_software_names_everything_that_computes() -> None:
    assert {"realign-cluster", "mlx", "mlx-lm"} <= {part.split()[0] for part in software().split(", ")}
