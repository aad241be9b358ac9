"""Ranks that each hold a whole model train it together as one machine would: real processes, a ring over loopback."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import tarfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import pytest
import pytest_asyncio
from safetensors.numpy import load

from realign_daemon.engine.api import ModelBenchmark, ModelId, Sha256, Train, Trained, TrainSettings
from realign_daemon.engine.codec import decode_result, encode, structured
from realign_daemon.engine.errors import BadTask
from realign_daemon.engine.models import POCKET_FOLDER
from realign_daemon.testing.gang import Gang, loaded, loopback_ring

pytestmark = pytest.mark.asyncio(loop_scope="module")

Method = Literal["sft", "dpo", "grpo"]
# Sums over ranks are rounded in another order: after six updates of up to 1e-3 the adapters of one, two and three
# processes differed by 7.1e-6 at most, their weights being up to 0.1 (measured 2026-11-23).
TOLERANCE = 1e-4
SETTINGS = TrainSettings(rank=4, steps=4, batch_size=7, evaluate_every=2, learning_rate=1e-3)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a training gave."""

    result: Trained
    weights: Mapping[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("groups")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(scratch: Path) -> AsyncGenerator[Gang]:
    async with loaded(scratch, POCKET_FOLDER) as gang:
        yield gang


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(scratch: Path) -> AsyncGenerator[Gang]:
    async with loaded(scratch, POCKET_FOLDER, loopback_ring(2, "data")) as gang:
        yield gang


def rows(method: Method) -> list[dict[str, Any]]:
    """Rows to learn and hold out, and some to replay: so many that no batch divides by the number of ranks."""
    found: list[dict[str, Any]] = []
    for number in range(20):
        prompt = [{"role": "user", "content": f"{20 + number}+{30 + number}="}]
        right, split = str(50 + 2 * number)[::-1] + "0", "valid" if number % 5 == 0 else "train"
        replayed = {"split": "replay", "messages": [*prompt, {"role": "assistant", "content": right}]}
        match method:
            case "sft":
                found.append({**replayed, "split": split})
            case "dpo":
                found.append({"split": split, "prompt": prompt, "chosen": right, "rejected": "9"})
            case "grpo":
                for completion, advantage in ((right, 1.0), ("77", -0.5)):
                    row = {"completion": completion, "advantage": advantage, "group": str(number)}
                    found.append({"split": split, "prompt": prompt, **row})
        if number % 7 == 0:
            found.append(replayed)
    return found


def request(scratch: Path, method: Method, settings: TrainSettings, *, every_s: float = 600.0) -> dict[str, Any]:
    data = "\n".join(map(json.dumps, rows(method))).encode()
    file = scratch / f"{method}.jsonl"
    file.write_bytes(data)
    name = Sha256(hashlib.sha256(data).hexdigest())
    task = Train(model=ModelId("a" * 64), method=method, dataset=name, settings=settings, seed=3)
    paths = {"dataset_path": str(file), "adapter_path": "", "checkpoint_path": str(scratch / f"checkpoint-{method}")}
    return {"op": "train", "task": encode(task), "adapter": "", "checkpoint_every_s": every_s, **paths}


async def trained(gang: Gang, body: Mapping[str, Any]) -> Outcome:
    reply = await gang.ask(**body)
    with tarfile.open(reply["file"]) as blob:
        weights = load(cast("Any", blob.extractfile("adapters.safetensors")).read())
    return Outcome(result=cast("Trained", decode_result(reply["result"])), weights=weights)


def assert_same(one: Outcome, other: Outcome) -> None:
    assert one.weights.keys() == other.weights.keys()
    for name, weight in one.weights.items():
        assert abs(weight - other.weights[name]).max() < TOLERANCE
    assert one.result.step_losses == pytest.approx(other.result.step_losses, abs=TOLERANCE)
    assert one.result.valid_margins == pytest.approx(other.result.valid_margins, abs=TOLERANCE)
    assert one.result.trained_tokens == other.result.trained_tokens
    for here, there in zip(one.result.points, other.result.points, strict=True):
        assert here.valid_loss == pytest.approx(there.valid_loss, abs=TOLERANCE)
        assert here.reward_accuracy == there.reward_accuracy


@pytest.mark.parametrize("method", ["sft", "dpo", "grpo"])
async def test_two_ranks_make_the_adapter_that_one_machine_makes(
    scratch: Path, alone: Gang, pair: Gang, method: Method
) -> None:
    body = request(scratch, method, SETTINGS)
    assert_same(await trained(pair, body), await trained(alone, body))


@pytest.mark.long
async def test_three_ranks_make_the_adapter_that_one_machine_makes(scratch: Path, alone: Gang) -> None:
    body = request(scratch, "dpo", replace(SETTINGS, batch_size=2))  # one rank has nothing to do
    async with loaded(scratch, POCKET_FOLDER, loopback_ring(3, "data")) as group:
        assert_same(await trained(group, body), await trained(alone, body))


async def test_all_ranks_stop_early_where_one_machine_does(scratch: Path, alone: Gang, pair: Gang) -> None:
    settings = replace(SETTINGS, steps=40, evaluate_every=1, patience=1, learning_rate=0.05)
    body = request(scratch, "sft", settings)
    one, two = await trained(alone, body), await trained(pair, body)
    assert two.result.steps == one.result.steps < 40
    assert len(two.result.points) == len(one.result.points)


async def test_a_loss_that_is_no_number_is_refused_by_all_ranks_which_then_go_on(
    scratch: Path, alone: Gang, pair: Gang
) -> None:
    with pytest.raises(BadTask, match="learning rate"):
        await trained(pair, request(scratch, "sft", replace(SETTINGS, steps=30, learning_rate=1e30)))
    body = request(scratch, "sft", SETTINGS)
    assert_same(await trained(pair, body), await trained(alone, body))


async def test_ranks_measure_a_model_together_though_their_clocks_differ(pair: Gang) -> None:
    reply = await pair.ask(op="benchmark_model", budget_s=0.1)
    assert structured(reply["value"], ModelBenchmark).points[0].decode_tps > 0


@pytest.mark.long
async def test_a_cancelled_training_goes_on_from_rank_zeros_checkpoint_on_all_ranks(scratch: Path, pair: Gang) -> None:
    whole = request(scratch, "sft", replace(SETTINGS, steps=6))
    unbroken = await trained(pair, whole)
    seen = asyncio.Event()

    def on_progress(done: int, _total: int, _note: str) -> None:
        if done == 3:
            seen.set()

    body = {**whole, "checkpoint_every_s": 0.0}
    asked = asyncio.create_task(pair.head.request(body, stall_timeout_s=60.0, progress=on_progress))
    await asyncio.wait_for(seen.wait(), 60.0)
    asked.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asked
    notes: list[str] = []
    reply = await pair.head.request(
        whole, stall_timeout_s=60.0, progress=lambda _done, _total, note: notes.append(note)
    )
    assert "resumed at step" in notes[0]
    assert cast("Trained", decode_result(reply["result"])).step_losses == unbroken.result.step_losses
    with tarfile.open(reply["file"]) as blob:
        weights = load(cast("Any", blob.extractfile("adapters.safetensors")).read())
    assert all((weights[name] == weight).all() for name, weight in unbroken.weights.items())
