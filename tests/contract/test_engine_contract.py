"""What every Engine promises, tested on the real one and on the scripted one."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import tarfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from realign_daemon.engine.api import (
    Engine,
    Fill,
    Filled,
    Fuse,
    Fused,
    Generate,
    Generated,
    LocalModel,
    Message,
    ModelId,
    Render,
    Rendered,
    Sampler,
    Score,
    Scored,
    Sha256,
    Slot,
    Task,
    Train,
    Trained,
    TrainSettings,
)
from realign_daemon.engine.errors import BadTask, EngineDied, EngineError, MissingBlob, NotLoaded, OutOfMemory
from realign_daemon.engine.supervisor import EngineSupervisor
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.work.blobs import BlobStore

QUESTION = (Message(role="user", content="12+34="),)
BUSY_TASKS = 40


@dataclass(kw_only=True)
class Rig:
    """An engine, a model for it, and how to make it stay busy or die."""

    engine: Engine
    model: LocalModel
    blobs: BlobStore
    keep_busy: Callable[[], None]
    kill: Callable[[], None]

    def generate(self, seed: int = 1, **changes: Any) -> Generate:
        values: dict[str, Any] = {"messages": QUESTION, "sampler": Sampler(max_tokens=6), "template": "t"} | changes
        return Generate(model=self.model.model, seed=seed, **values)

    def long(self, seed: int) -> Generate:
        """Long enough to be in flight until somebody acts."""
        return self.generate(seed, sampler=Sampler(temperature=3.0, max_tokens=400))

    def train(self, *, steps: int = 3, rows: str | None = None) -> Train:
        lines = [
            {"split": split, "prompt": [{"role": "user", "content": f"{place}+1="}], "chosen": "2", "rejected": "3"}
            for place in range(3)
            for split in ("train", "valid")
        ]
        text = "\n".join(map(json.dumps, lines)) if rows is None else rows
        return Train(
            model=self.model.model,
            method="dpo",
            dataset=self.blobs.put_bytes(text.encode()),
            settings=TrainSettings(rank=2, steps=steps, batch_size=2, evaluate_every=2),
            seed=1,
        )


async def until_busy(rig: Rig) -> None:
    while rig.engine.status().state != "busy":  # noqa: ASYNC110 - a status is read, nobody announces it
        await asyncio.sleep(0)


@pytest.fixture(params=["real", "scripted"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path, real_model: LocalModel) -> AsyncIterator[Rig]:
    blobs = BlobStore(tmp_path / "blobs")
    if request.param == "real":
        real = EngineSupervisor(blobs, tmp_path / "cache", free_bytes=lambda: 4 * 2**30)
        yield Rig(
            engine=real,
            model=real_model,
            blobs=blobs,
            keep_busy=lambda: None,
            kill=lambda: os.kill(real.status().pid, signal.SIGKILL),
        )
        await real.close()
    else:
        scripted = ScriptedEngine(blobs, free_bytes=4 * 2**30)
        yield Rig(engine=scripted, model=real_model, blobs=blobs, keep_busy=scripted.hold, kill=scripted.die)


async def test_nothing_is_performed_before_a_load_or_for_another_model(rig: Rig) -> None:
    assert rig.engine.status().state == "absent"
    with pytest.raises(NotLoaded):
        await rig.engine.perform(rig.generate())
    await rig.engine.load(rig.model)
    with pytest.raises(EngineDied, match="another model"):
        await rig.engine.perform(replace(rig.generate(), model=ModelId("f" * 64)))


async def test_loading_what_is_loaded_changes_nothing(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    first = rig.engine.status()
    assert (first.state, first.model, first.last_error) == ("ready", rig.model.name, "")
    assert first.pid > 0
    assert first.rss_bytes > 0
    await rig.engine.load(rig.model)
    assert rig.engine.status().pid == first.pid


async def test_equal_tasks_have_equal_results_in_any_company(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    tasks = [rig.generate(seed) for seed in range(10)]
    together = await asyncio.gather(*map(rig.engine.perform, tasks))
    alone = [await rig.engine.perform(task) for task in tasks]
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Generated)
        assert isinstance(other, Generated)
        assert one.text == other.text
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
        assert one.logprob < 0
        assert 1 <= one.completion_tokens <= 6
        assert (one.finish_reason == "length") <= (one.completion_tokens == 6)
    greedy = Sampler(temperature=0, max_tokens=6)
    assert await rig.engine.perform(rig.generate(1, sampler=greedy)) == await rig.engine.perform(
        rig.generate(2, sampler=greedy)
    )


async def test_forms_and_scores_have_the_shape_of_their_tasks(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    slots = (Slot(before="", choices=("1", "2", "3")), Slot(before=" ", choices=("A", "B")))
    form = Fill(model=rig.model.model, messages=QUESTION, form=slots, template="t")
    filled = await rig.engine.perform(form)
    assert isinstance(filled, Filled)
    assert [len(shares) for shares in filled.probabilities] == [3, 2]
    assert all(math.isclose(sum(shares), 1, abs_tol=1e-5) for shares in filled.probabilities)
    assert all(0 <= mass <= 1.00001 for mass in filled.mass)
    assert len(filled.mass) == 2
    scored = await rig.engine.perform(Score(model=rig.model.model, messages=QUESTION, completion="640"))
    assert isinstance(scored, Scored)
    assert scored.tokens == 4
    assert scored.logprob < 0


async def test_forms_and_scores_are_the_same_to_the_last_digit_in_any_company(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    slots = (Slot(before="", choices=("1", "2", "3")), Slot(before=" ", choices=("A", "B")))
    asked = [(Message(role="user", content="12+34=" * (1 + place % 3)),) for place in range(20)]
    tasks: list[Task] = [
        *(
            Fill(model=rig.model.model, messages=one, form=slots[: 1 + len(one[0].content) % 2], template="t")
            for one in asked
        ),
        *(Score(model=rig.model.model, messages=one, completion="640"[: place % 4]) for place, one in enumerate(asked)),
    ]
    together = await asyncio.gather(*map(rig.engine.perform, tasks))
    assert [await rig.engine.perform(task) for task in tasks[::7]] == together[::7]


async def test_an_answer_fits_its_schema_and_a_schema_without_bounds_is_refused(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    grade = {"type": "integer", "minimum": 1, "maximum": 5}
    properties = {"answer": {"type": "string", "minLength": 2, "maxLength": 9}, "grade": grade}
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    tasks = [rig.generate(seed, sampler=Sampler(max_tokens=60), schema=json.dumps(schema)) for seed in range(6)]
    for result in await asyncio.gather(*map(rig.engine.perform, tasks)):
        assert isinstance(result, Generated)
        answer = json.loads(result.text)
        assert (list(answer), 2 <= len(answer["answer"]) <= 9, 1 <= answer["grade"] <= 5) == ([*properties], True, True)
    with pytest.raises(BadTask, match="maxLength"):
        await rig.engine.perform(rig.generate(1, schema='{"type": "string"}'))


async def test_an_impossible_form_is_refused_and_the_engine_lives_on(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    pid = rig.engine.status().pid
    forms = [(), *((Slot(before="", choices=choices),) for choices in ((), ("1", "1"), ("12", "3")))]
    bad = [Fill(model=rig.model.model, messages=QUESTION, form=form, template="t") for form in forms]
    *refused, fine = await asyncio.gather(
        *map(rig.engine.perform, bad), rig.engine.perform(rig.generate()), return_exceptions=True
    )
    assert [type(refusal) for refusal in refused] == [BadTask] * 4
    assert isinstance(fine, Generated)
    assert rig.engine.status().pid == pid


async def test_training_gives_an_adapter_that_other_tasks_can_use(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    seen: list[tuple[int, int]] = []
    task = rig.train()
    trained = await rig.engine.perform(task, progress=lambda done, total, _: seen.append((done, total)))
    assert isinstance(trained, Trained)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert (trained.steps, len(trained.step_losses), len(trained.valid_margins)) == (3, 3, 3)
    assert [point.step for point in trained.points] == [2, 3]
    assert all(point.reward_accuracy is not None and point.valid_loss is not None for point in trained.points)
    with tarfile.open(rig.blobs.path(trained.adapter)) as archive:
        assert sorted(archive.getnames()) == ["adapter_config.json", "adapters.safetensors"]
    assert await rig.engine.perform(task) == trained
    mixed = [rig.generate(seed, adapter=trained.adapter if seed % 2 else None) for seed in range(6)]
    results = await asyncio.gather(*map(rig.engine.perform, mixed))
    assert all(isinstance(result, Generated) for result in results)
    again = await rig.engine.perform(mixed[0])
    assert isinstance(again, Generated)
    assert isinstance(results[0], Generated)
    assert again.text == results[0].text  # back to no adapter


async def test_a_row_is_counted_in_the_models_tokens_and_needs_an_answer(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    answer = Message(role="assistant", content="640")
    rendered = await rig.engine.perform(Render(model=rig.model.model, messages=(*QUESTION, answer)))
    assert isinstance(rendered, Rendered)
    assert min(rendered.prompt_tokens, rendered.completion_tokens) > 0
    assert rendered.problem == ""
    with pytest.raises(BadTask, match="assistant's turn"):
        await rig.engine.perform(Render(model=rig.model.model, messages=QUESTION))


async def test_a_fused_model_is_a_blob_and_answers_its_prompts_in_order(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    trained = await rig.engine.perform(rig.train())
    assert isinstance(trained, Trained)
    greedy = Sampler(temperature=0, max_tokens=6)
    tasks = [rig.generate(0, sampler=greedy, messages=(Message(role="user", content=text),)) for text in "abc"]
    fused = await rig.engine.perform(Fuse(model=rig.model.model, adapter=trained.adapter, prompts=tuple(tasks)))
    assert isinstance(fused, Fused)
    assert rig.blobs.has(fused.weights)
    assert len(fused.answers) == len(tasks)
    assert all(isinstance(answer, Generated) for answer in fused.answers)
    with pytest.raises(MissingBlob):
        await rig.engine.perform(Fuse(model=rig.model.model, adapter=Sha256("0" * 64), prompts=()))
    assert isinstance(await rig.engine.perform(tasks[0]), Generated)


async def test_a_data_set_that_cannot_be_learned_is_refused(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    for rows in ("", "no json", '{"split": "valid", "prompt": [], "chosen": "a", "rejected": "b"}'):
        with pytest.raises(BadTask):
            await rig.engine.perform(rig.train(rows=rows))


async def test_a_blob_that_is_not_here_is_named(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    missing = Sha256("e" * 64)
    with pytest.raises(MissingBlob, match=missing):
        await rig.engine.perform(rig.generate(adapter=missing))
    with pytest.raises(MissingBlob, match=missing):
        await rig.engine.perform(replace(rig.train(), dataset=missing))


async def test_a_model_that_does_not_fit_is_refused_with_the_figures(rig: Rig) -> None:
    huge = replace(rig.model, model=ModelId("b" * 64), weight_bytes=2**40)
    with pytest.raises(OutOfMemory) as refusal:
        await rig.engine.load(huge)
    assert refusal.value.needed_bytes >= 2**40
    assert refusal.value.free_bytes == 4 * 2**30
    await rig.engine.load(rig.model)
    assert isinstance(await rig.engine.perform(rig.generate()), Generated)


async def test_death_reaches_everything_in_flight_and_a_load_brings_it_back(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    rig.keep_busy()
    flying = [asyncio.create_task(rig.engine.perform(rig.long(seed))) for seed in range(BUSY_TASKS)]
    await until_busy(rig)
    rig.kill()
    ends = await asyncio.gather(*flying, return_exceptions=True)
    assert all(isinstance(end, EngineDied) for end in ends)
    assert "SIGKILL" in str(ends[0])
    assert rig.engine.status().state == "failed"
    assert "SIGKILL" in rig.engine.status().last_error
    if isinstance(rig.engine, ScriptedEngine):
        rig.engine.release()
    await rig.engine.load(rig.model)
    assert rig.engine.status().state == "ready"
    assert isinstance(await rig.engine.perform(rig.generate()), Generated)


async def test_a_caller_that_goes_leaves_the_engine_usable(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    rig.keep_busy()
    leaving = asyncio.create_task(rig.engine.perform(rig.train(steps=100_000)))
    await until_busy(rig)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    if isinstance(rig.engine, ScriptedEngine):
        rig.engine.release()
    assert isinstance(await rig.engine.perform(rig.generate()), Generated)


async def test_closing_ends_what_is_in_flight(rig: Rig) -> None:
    await rig.engine.load(rig.model)
    rig.keep_busy()
    flying = asyncio.create_task(rig.engine.perform(rig.train(steps=100_000)))
    await until_busy(rig)
    await rig.engine.close()
    with pytest.raises(EngineError):
        await flying
    assert rig.engine.status().state == "absent"
    assert rig.engine.status().pid == 0


async def test_benchmarks_are_positive_and_their_peak_is_one_of_the_points(rig: Rig) -> None:
    speeds = await rig.engine.benchmark_model(rig.model, budget_s=1.0)
    best = max(speeds.points, key=lambda point: point.examples_per_s)
    assert (best.batch_size, best.examples_per_s) == (speeds.peak_batch_size, speeds.examples_per_s)
    assert min(speeds.prefill_tps, speeds.decode_tps, speeds.examples_per_s) > 0
    compute = await rig.engine.benchmark_compute(budget_s=0.5)
    assert compute.gflops["float32"] > 0
    assert compute.bandwidth_gbs > 0
