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
from realign_daemon.engine.child.checkpoint import CheckpointFile
from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.run import learning_rate
from realign_daemon.engine.child.train import train
from realign_daemon.engine.errors import BadTask

PROBE = mx.array([[10, 20, 30, 40]])
Method = Literal["sft", "dpo", "grpo"]
METHODS: tuple[Method, ...] = ("sft", "dpo", "grpo")
SMALL: dict[str, Any] = {"rank": 4, "steps": 12, "batch_size": 6, "evaluate_every": 4, "learning_rate": 3e-3}


class Interrupted(Exception):
    """What ends a run in the middle."""


class Bench:
    """Runs trainings in one folder. Every checkpoint file is its own unless a number is given."""

    def __init__(self, loaded: Loaded, folder: Path) -> None:
        self.loaded, self.folder = loaded, folder
        self.adapters = lora.Adapters(loaded.network)
        self.numbers = itertools.count()
        self.steps: list[tuple[int, int]] = []
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def run(
        self,
        method: Method,
        *,
        checkpoint: str = "",
        interrupt_after: int = 10**9,
        start: Path | None = None,
        rows: list[dict[str, Any]] | None = None,
        seed: int = 1,
        **settings: Any,
    ) -> tuple[Trained, Path]:
        dataset = self.folder / "rows.jsonl"
        dataset.write_text("\n".join(json.dumps(row) for row in rows or globals()[f"{method}_rows"]()))
        number = next(self.numbers)
        output = self.folder / f"adapter-{number}.tar"
        task = Train(
            model=ModelId("m"),
            adapter=Sha256(sha256(start)) if start else None,
            method=method,
            dataset=Sha256("d" * 64),
            settings=TrainSettings(**(SMALL | settings)),
            seed=seed,
        )

        def on_step(done: int, total: int, note: str) -> None:
            self.steps.append((done, total))
            self.notes.append(note)
            if done == interrupt_after:
                raise Interrupted

        file = CheckpointFile(
            self.folder / (checkpoint or f"checkpoint-{number}"),
            every_s=0,
            warn=lambda event, _: self.warnings.append(event),
            clock=lambda: 0.0,  # time stands still: every step is due
        )
        result = train(
            self.loaded,
            self.adapters,
            task,
            dataset=dataset,
            adapter=start,
            checkpoint=file,
            output=output,
            duty=Duty(),
            alive=lambda: None,
            on_step=on_step,
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


def misleading_rows() -> list[dict[str, Any]]:
    """Trained on one answer and checked on another, the held-out loss soon rises."""
    wrong = [row | {"messages": [row["messages"][0], {"role": "assistant", "content": "zzz"}]} for row in sft_rows()]
    return [row for row in wrong if row["split"] == "train"] + [row for row in sft_rows() if row["split"] == "valid"]


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


def grpo_rows() -> list[dict[str, Any]]:
    """Four answers to each question, two of them rewarded; one group is of one mind."""
    return [
        {
            "split": "valid" if place >= 24 else "train",
            "prompt": [{"role": "user", "content": f"say {place // 4}"}],
            "completion": f"{place // 4}{'x' * (place % 4)}",
            "advantage": 0.0 if place < 4 else (1.0, 0.6, -0.6, -1.0)[place % 4],
            "group": str(place // 4),
        }
        for place in range(32)
    ] + dpo_rows()[-1:]


@pytest.fixture
def bench(loaded: Loaded, tmp_path: Path) -> Bench:
    return Bench(loaded, tmp_path)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_task_twice_gives_identical_adapters(bench: Bench, method: Method) -> None:
    (first, one), (second, other) = bench.run(method), bench.run(method)
    assert one.read_bytes() == other.read_bytes()
    assert first == second
    assert bench.run(method, seed=2)[1].read_bytes() != one.read_bytes()
    with tarfile.open(one) as archive:
        entries = [(entry.name, entry.mtime, entry.uid, entry.gid, entry.uname) for entry in archive]
    assert entries == [(name, 0, 0, 0, "") for name in ("adapter_config.json", "adapters.safetensors")]


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


def test_grpo_makes_rewarded_samples_more_probable_and_the_others_less(bench: Bench) -> None:
    result, _ = bench.run("grpo", steps=30)
    first, last = result.points[0], result.points[-1]
    assert (first.reward_margin or 0) < (last.reward_margin or 0)
    assert last.reward_margin == pytest.approx(sum(result.valid_margins) / 2, abs=1e-6)  # two groups are held out
    assert last.reward_accuracy == 1.0
    assert (last.chosen_logratio or 0) > 0
    assert (last.valid_loss or 0) < (first.valid_loss or 0)


def test_a_divergence_term_holds_the_policy_back(bench: Bench) -> None:
    free, held = (bench.run("grpo", steps=30, kl_weight=weight)[0].points[-1] for weight in (0.0, 1.0))
    assert 0 < (held.reward_margin or 0) < (free.reward_margin or 0)


@pytest.mark.parametrize(
    ("method", "interrupt_after", "patience"),
    [("sft", 1, 0), ("sft", 6, 9), ("dpo", 5, 9), ("dpo", 12, 0), ("grpo", 2, 9), ("grpo", 7, 0)],
)
def test_an_interrupted_run_ends_in_the_same_bytes(
    bench: Bench, method: Method, interrupt_after: int, patience: int
) -> None:
    settings: dict[str, Any] = {"evaluate_every": 4, "patience": patience}
    whole, one = bench.run(method, **settings)
    with pytest.raises(Interrupted):
        bench.run(method, checkpoint="c", interrupt_after=interrupt_after, **settings)
    bench.steps.clear()
    resumed, other = bench.run(method, checkpoint="c", **settings)
    assert other.read_bytes() == one.read_bytes()
    assert resumed == whole
    saved = interrupt_after - 1
    assert bench.steps == [(step, 12) for step in range(saved, 13)]
    assert bench.notes[-13 + saved :][0] == f"resumed at step {saved}"
    assert bench.notes[-1].endswith(f"resumed at step {saved}")
    assert bench.warnings == []


def test_an_interrupted_run_from_an_adapter_keeps_its_reference(bench: Bench) -> None:
    _, start = bench.run("sft")
    whole, one = bench.run("dpo", start=start)
    with pytest.raises(Interrupted):
        bench.run("dpo", start=start, checkpoint="c", interrupt_after=6)
    resumed, other = bench.run("dpo", start=start, checkpoint="c")
    assert (resumed, other.read_bytes()) == (whole, one.read_bytes())


def test_patience_goes_on_where_it_was(bench: Bench) -> None:
    """Interrupted when the best weights lie behind and patience is running out."""
    settings: dict[str, Any] = {"rows": misleading_rows(), "steps": 30, "evaluate_every": 3, "patience": 2}
    whole, one = bench.run("sft", **settings)
    assert whole.steps < 30
    with pytest.raises(Interrupted):
        bench.run("sft", checkpoint="c", interrupt_after=whole.steps - 1, **settings)
    resumed, other = bench.run("sft", checkpoint="c", **settings)
    assert bench.notes[-1].endswith(f"resumed at step {whole.steps - 2}")
    assert (resumed, other.read_bytes()) == (whole, one.read_bytes())


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_damaged_checkpoint_is_not_used(bench: Bench, place: int) -> None:
    _, whole = bench.run("sft")
    with pytest.raises(Interrupted):
        bench.run("sft", checkpoint="c", interrupt_after=5)
    file = bench.folder / "c"
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    bench.steps.clear()
    _, again = bench.run("sft", checkpoint="c")
    assert bench.warnings == ["checkpoint.ignored"]
    assert bench.steps[0] == (1, 12)
    assert again.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("other", [{"seed": 2}, {"rows": list(reversed(sft_rows()))}])
def test_another_tasks_or_tokens_checkpoint_is_not_used(bench: Bench, other: dict[str, Any]) -> None:
    with pytest.raises(Interrupted):
        bench.run("sft", checkpoint="c", interrupt_after=5)
    bench.steps.clear()
    bench.run("sft", checkpoint="c", **other)
    assert bench.warnings == ["checkpoint.ignored"]
    assert bench.steps[0] == (1, 12)


def test_training_goes_on_when_no_checkpoint_can_be_written(bench: Bench) -> None:
    result, _ = bench.run("sft", checkpoint="no/such/folder")
    assert set(bench.warnings) == {"checkpoint.not_written"}
    assert result.steps == 12


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
    rows = misleading_rows()
    whole, _ = bench.run("sft", rows=rows, steps=30, evaluate_every=3)
    stopped, blob = bench.run("sft", rows=rows, steps=30, evaluate_every=3, patience=2)
    assert stopped.steps < whole.steps == 30
    assert stopped.step_losses == whole.step_losses[: stopped.steps]
    assert stopped.points == whole.points[: stopped.steps // 3]
    losses = [point.valid_loss for point in stopped.points if point.valid_loss is not None]
    best = losses.index(min(losses))
    assert len(losses) - 1 - best == 2
    valid_only = [row | {"split": "train"} for row in rows if row["split"] == "valid"]
    again, _ = bench.run("sft", rows=valid_only, start=blob, steps=1, batch_size=6)
    assert again.step_losses[0] == pytest.approx(min(losses), abs=1e-5)  # what is kept is what was best


def test_margins_are_those_of_the_weights_that_are_kept(bench: Bench) -> None:
    rows = [
        row | {"chosen": row["rejected"], "rejected": row["chosen"]} if row["split"] == "valid" else row
        for row in dpo_rows()
    ]
    result, _ = bench.run("dpo", rows=rows, steps=20, patience=2)
    best = min(result.points, key=lambda point: point.valid_loss or 0)
    assert best.step < result.steps < 20
    assert sum(result.valid_margins) / 6 == pytest.approx(best.reward_margin, abs=1e-9)


def test_a_loss_that_is_no_number_ends_the_run(bench: Bench) -> None:
    with pytest.raises(BadTask, match="lower the learning rate"):
        bench.run("sft", learning_rate=1e30)
    assert bench.adapters.attached == ""
    assert np.isfinite(bench.logits()).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"rank": 0},
        {"steps": 0},
        {"batch_size": 0},
        {"evaluate_every": 0},
        {"clip_fraction": 1.0},
        {"kl_weight": -0.1},
    ],
)
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
