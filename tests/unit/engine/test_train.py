"""Training runs on the tiny model: the same twice, honest about what they did, and without traces on the model."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import tarfile
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx
import mlx_lm
import numpy as np
import pytest

from realign_daemon.engine.api import LocalModel, ModelId, Sha256, Train, Trained, TrainSettings
from realign_daemon.engine.child import lora
from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.train import learning_rate, train
from realign_daemon.engine.errors import BadTask

PROBE = mx.array([[10, 20, 30, 40]])
SMALL: dict[str, Any] = {"rank": 4, "steps": 12, "batch_size": 6, "evaluate_every": 4, "learning_rate": 3e-3}


class Bench:
    """Runs trainings in one folder."""

    def __init__(self, loaded: Loaded, folder: Path) -> None:
        self.loaded, self.folder = loaded, folder
        self.adapters = lora.Adapters(loaded.network)
        self.numbers = itertools.count()
        self.steps: list[tuple[int, int]] = []

    def run(
        self,
        method: Literal["sft", "dpo"],
        *,
        start: Path | None = None,
        rows: list[dict[str, Any]] | None = None,
        seed: int = 1,
        **settings: Any,
    ) -> tuple[Trained, Path]:
        dataset = self.folder / "rows.jsonl"
        dataset.write_text("\n".join(json.dumps(row) for row in rows or globals()[f"{method}_rows"]()))
        output = self.folder / f"adapter-{next(self.numbers)}.tar"
        task = Train(
            model=ModelId("m"),
            adapter=Sha256(sha256(start)) if start else None,
            method=method,
            dataset=Sha256("d" * 64),
            settings=TrainSettings(**(SMALL | settings)),
            seed=seed,
        )
        result = train(
            self.loaded,
            self.adapters,
            task,
            dataset=dataset,
            adapter=start,
            output=output,
            duty=Duty(),
            alive=lambda: None,
            on_step=lambda done, total, _: self.steps.append((done, total)),
        )
        return result, output

    def logits(self, blob: Path | None = None) -> np.ndarray[Any, Any]:
        self.adapters.swap(sha256(blob) if blob else "", blob)
        logits = np.array(self.loaded.network(PROBE))
        self.adapters.swap("", None)
        return logits


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sft_rows() -> list[dict[str, Any]]:
    return [
        {
            "split": "valid" if place >= 24 else "train",
            "messages": [
                {"role": "user", "content": f"say {place % 10}"},
                {"role": "assistant", "content": str(place % 10) * 3},
            ],
        }
        for place in range(30)
    ]


def dpo_rows() -> list[dict[str, Any]]:
    return [
        {
            "split": "valid" if place >= 24 else "train",
            "prompt": [{"role": "user", "content": f"say {place % 10}"}],
            "chosen": str(place % 10),
            "rejected": "no " * (1 + place % 3),
        }
        for place in range(30)
    ] + [
        {"split": "replay", "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}
    ]


@pytest.fixture
def bench(loaded: Loaded, tmp_path: Path) -> Bench:
    return Bench(loaded, tmp_path)


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_the_same_task_twice_gives_identical_adapters(bench: Bench, method: Literal["sft", "dpo"]) -> None:
    (first, one), (second, other) = bench.run(method), bench.run(method)
    assert one.read_bytes() == other.read_bytes()
    assert first == second
    assert bench.run(method, seed=2)[1].read_bytes() != one.read_bytes()


def test_sft_learns_and_says_how_it_went(bench: Bench) -> None:
    result, _ = bench.run("sft", steps=30)
    assert bench.steps == [(step, 30) for step in range(1, 31)]
    assert [point.step for point in result.points] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert len(result.step_losses) == result.steps == 30
    assert result.trained_tokens == 30 * 6 * 4  # six rows of three characters and an end
    assert result.points[-1].valid_loss is not None
    assert result.points[-1].valid_loss < result.step_losses[0] / 2
    assert result.valid_margins == ()


def test_dpo_widens_margins_and_the_nll_term_holds_the_chosen_answers_up(bench: Bench) -> None:
    result, _ = bench.run("dpo", steps=30)
    last = result.points[-1]
    assert last.reward_margin is not None
    assert last.reward_margin == pytest.approx(sum(result.valid_margins) / 6, abs=1e-6)
    assert last.reward_accuracy == sum(margin > 0 for margin in result.valid_margins) / 6 == 1.0
    assert last.chosen_logratio is not None
    assert last.chosen_logratio > 0


def test_training_leaves_the_model_as_it_was(bench: Bench) -> None:
    before = bench.logits()
    _, blob = bench.run("sft")
    np.testing.assert_array_equal(bench.logits(), before)
    assert np.abs(bench.logits(blob) - before).max() > 1e-2
    np.testing.assert_array_equal(bench.logits(), before)


def test_mlx_lm_loads_the_adapter_and_computes_the_same(bench: Bench, tiny_model: LocalModel, tmp_path: Path) -> None:
    _, blob = bench.run("sft")
    with tarfile.open(blob) as archive:
        assert sorted(archive.getnames()) == ["adapter_config.json", "adapters.safetensors"]
        archive.extractall(tmp_path / "unpacked", filter="data")
    network: Any = mlx_lm.load(str(tiny_model.path), adapter_path=str(tmp_path / "unpacked"))[0]
    np.testing.assert_allclose(np.array(network(PROBE)), bench.logits(blob), atol=1e-5)


def test_training_goes_on_from_an_earlier_adapter_which_is_then_the_reference(bench: Bench) -> None:
    _, start = bench.run("sft")
    result, blob = bench.run("dpo", start=start, steps=1, learning_rate=1e-9, evaluate_every=1)
    assert result.points[0].reward_margin == pytest.approx(0, abs=1e-4)  # not the distance from the base
    np.testing.assert_allclose(bench.logits(blob), bench.logits(start), atol=1e-3)


def test_early_stopping_keeps_the_best_weights(bench: Bench) -> None:
    """Trained on one answer and checked on another, the held-out loss soon rises."""
    wrong = [row | {"messages": [row["messages"][0], {"role": "assistant", "content": "zzz"}]} for row in sft_rows()]
    rows = [row for row in wrong if row["split"] == "train"] + [row for row in sft_rows() if row["split"] == "valid"]
    whole, _ = bench.run("sft", rows=rows, steps=30, evaluate_every=3)
    stopped, blob = bench.run("sft", rows=rows, steps=30, evaluate_every=3, patience=2)
    assert stopped.steps < whole.steps == 30
    losses = [point.valid_loss for point in stopped.points if point.valid_loss is not None]
    best = losses.index(min(losses))
    assert len(losses) - 1 - best == 2
    valid_only = [row | {"split": "train"} for row in rows if row["split"] == "valid"]
    again, _ = bench.run("sft", rows=valid_only, start=blob, steps=1, batch_size=6)
    assert again.step_losses[0] == pytest.approx(min(losses), abs=1e-5)  # what is kept is what was best


def test_a_loss_that_is_no_number_ends_the_run(bench: Bench) -> None:
    with pytest.raises(BadTask, match="lower the learning rate"):
        bench.run("sft", learning_rate=1e30)
    assert bench.adapters.attached == ""
    assert np.isfinite(bench.logits()).all()


@pytest.mark.parametrize("settings", [{"rank": 0}, {"steps": 0}, {"batch_size": 0}, {"evaluate_every": 0}])
def test_settings_that_cannot_train_are_refused(bench: Bench, settings: dict[str, Any]) -> None:
    with pytest.raises(BadTask, match="cannot train"):
        bench.run("sft", **settings)


def test_an_adapter_of_another_rank_is_no_start(bench: Bench) -> None:
    _, start = bench.run("sft")
    with pytest.raises(BadTask, match="rank 4"):
        bench.run("sft", start=start, rank=8)


@pytest.mark.parametrize("content", [b"", b"no tar at all", bytes(10240)])
def test_a_blob_that_is_no_adapter_is_refused(bench: Bench, tmp_path: Path, content: bytes) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(content)
    before = bench.logits()
    with pytest.raises(BadTask, match="adapter"):
        bench.adapters.swap("b" * 64, blob)
    np.testing.assert_array_equal(bench.logits(), before)


def test_the_learning_rate_warms_up_and_decays_to_a_tenth() -> None:
    settings = TrainSettings(learning_rate=1.0, steps=100)
    rates = [learning_rate(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert rates[100] == pytest.approx(0.1)
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[10:]))
    assert math.isclose(rates[55], 0.55)


def test_a_single_step_trains_at_the_full_rate() -> None:
    assert learning_rate(0, TrainSettings(learning_rate=1.0, steps=1)) == 1.0
