"""A model that is divided over ranks answers as it does on one machine: real processes, a ring over loopback."""

# pyright: reportUnknownMemberType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import pytest
import pytest_asyncio
from tests import far_model

from realign_daemon.engine.api import (
    Fill,
    Generate,
    Generated,
    Message,
    ModelId,
    Render,
    Result,
    Sampler,
    Score,
    Sha256,
    Slot,
    Task,
    Train,
    TrainSettings,
)
from realign_daemon.engine.codec import encode
from realign_daemon.engine.errors import BadTask
from realign_daemon.engine.models import POCKET_FOLDER
from realign_daemon.engine.ranks import GroupPlan, Parallelism
from realign_daemon.groups import canary
from realign_daemon.groups.messages import Logprobs
from realign_daemon.groups.singing import sing
from realign_daemon.testing.gang import Gang, formed, loaded, loopback_ring

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = ModelId("a" * 64)
ADAPTER = Sha256("c" * 64)
SCHEMA = json.dumps({"type": "integer", "minimum": 100, "maximum": 999})
# Sums over ranks are rounded in another order than one machine's: 1.1e-5 was the largest difference of a completion's
# log-probability (80 tasks of this kind on two and three ranks, measured 2026-11-23).
TOLERANCE = 1e-4


def question(number: int) -> tuple[Message, ...]:
    return (Message(role="user", content=f"{10 + number}+{30 + number}="),)


def sample(number: int, *, adapter: Sha256 | None = None) -> Generate:
    return Generate(
        model=MODEL,
        adapter=adapter,
        messages=question(number),
        sampler=Sampler(temperature=float(number % 3 > 0), top_p=0.9 if number % 3 == 1 else 1.0, max_tokens=6),
        seed=number,
        template="t",
    )


def endless(number: int) -> Generate:
    """So hot that it ends with its tokens."""
    return replace(sample(number), sampler=Sampler(temperature=1e4, max_tokens=14))


TASKS: tuple[Task, ...] = (
    *map(sample, range(5)),
    replace(sample(7), schema=SCHEMA, sampler=Sampler(max_tokens=8)),
    Fill(
        model=MODEL,
        messages=question(1),
        form=(Slot(before="", choices=("1", "2", "3")), Slot(before="4", choices=("5", "6"))),
        template="t",
    ),
    Score(model=MODEL, messages=question(2), completion="440"),
    Render(model=MODEL, messages=(*question(3), Message(role="assistant", content="640"))),
)
WITH_ADAPTER: tuple[Task, ...] = (
    *(sample(number, adapter=ADAPTER) for number in range(3)),
    Score(model=MODEL, adapter=ADAPTER, messages=question(2), completion="440"),
)
CANARIES = [encode(Score(model=MODEL, messages=question(number), completion="440")) for number in range(2)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("groups")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(scratch: Path) -> AsyncGenerator[Gang]:
    async with loaded(scratch, POCKET_FOLDER) as gang:
        gang.adapters[ADAPTER] = await trained_adapter(gang, scratch)
        yield gang


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["tensor", "pipeline", "pipeline of three"])
async def group(request: pytest.FixtureRequest, scratch: Path, alone: Gang) -> AsyncGenerator[Gang]:
    plan, duties = loopback_ring(2, "tensor"), (1.0, 1.0)
    if request.param == "pipeline":
        plan, duties = loopback_ring(2, "pipeline", split=(2, 4)), (1.0, 0.5)  # one rank is slow
    if request.param == "pipeline of three":
        plan, duties = loopback_ring(3, "pipeline", split=(1, 2, 3)), (1.0, 1.0, 1.0)
    async with loaded(scratch, POCKET_FOLDER, plan, duties=duties) as gang:
        gang.adapters.update(alone.adapters)
        yield gang


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def last_folder(scratch: Path) -> Path:
    """Where rank 2 of three has the model."""
    return Path(shutil.copytree(POCKET_FOLDER, scratch / "last"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trio(scratch: Path, last_folder: Path) -> AsyncGenerator[Gang]:
    async with formed(scratch, [POCKET_FOLDER, POCKET_FOLDER, last_folder], loopback_ring(3, "tensor")) as gang:
        await gang.ask(op="load")
        yield gang


async def trained_adapter(gang: Gang, scratch: Path) -> Path:
    rows = [
        {
            "split": "train",
            "messages": [{"role": "user", "content": f"{number}+1="}, {"role": "assistant", "content": "7"}],
        }
        for number in range(8)
    ]
    data = scratch / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    settings = TrainSettings(rank=4, steps=5, batch_size=8, learning_rate=1e-2)
    task = Train(model=MODEL, method="sft", dataset=Sha256("b" * 64), settings=settings, seed=3)
    paths = {"dataset_path": str(data), "checkpoint_path": str(scratch / "checkpoint"), "checkpoint_every_s": 600.0}
    reply = await gang.ask(op="train", task=encode(task), adapter="", adapter_path="", **paths)
    return Path(reply["file"])


def words(results: Sequence[Result]) -> list[object]:
    return [replace(result, logprob=0.0) if isinstance(result, Generated) else type(result) for result in results]


async def sung(gang: Gang) -> list[float]:
    reply = await gang.ask(op="canary", tasks=CANARIES, adapter="", adapter_path="")
    return [logprob for row in cast("list[list[float]]", reply["value"]) for logprob in row]


def figures(results: Sequence[Result]) -> list[float]:
    found: list[float] = []
    for result in results:
        match result.kind:
            case "generated" | "scored":
                found.append(result.logprob)
            case "filled":
                found += [*result.mass, *(share for shares in result.probabilities for share in shares)]
            case _:
                pass
    return found


async def test_a_divided_model_gives_every_kind_of_result_that_one_machine_gives(alone: Gang, group: Gang) -> None:
    there, here = await alone.perform(*TASKS), await group.perform(*TASKS)
    assert words(here) == words(there)
    assert figures(here) == pytest.approx(figures(there), abs=TOLERANCE)


async def test_each_rank_holds_its_part_of_the_weights(group: Gang) -> None:
    whole, embeddings = 2_981_376, 100_224  # bytes of the pocket model in float32; every rank has the embeddings
    plan = cast("GroupPlan", group.plan)
    fractions = [layers / sum(plan.split) for layers in plan.split] or [1 / plan.size] * plan.size
    for member, fraction in zip(group.members, fractions, strict=True):
        holding = member.told.held[0]
        assert holding.weight_bytes == pytest.approx(embeddings + (whole - embeddings) * fraction, rel=0.01)
        assert holding.active_bytes == pytest.approx(holding.weight_bytes, rel=0.05)


async def test_an_adapter_is_put_into_a_divided_model_and_taken_out_again(alone: Gang, group: Gang) -> None:
    there = await alone.perform(*TASKS[:3], *WITH_ADAPTER)
    here = await group.perform(*TASKS[:3], *WITH_ADAPTER)
    assert words(here) == words(there)
    assert figures(here) == pytest.approx(figures(there), abs=TOLERANCE)
    assert abs(figures(here)[-1] - figures(await group.perform(TASKS[7]))[0]) > 1  # it changes much
    wrong = replace(sample(1), adapter=Sha256("d" * 64))
    group.adapters[Sha256("d" * 64)] = POCKET_FOLDER / "config.json"
    with pytest.raises(BadTask, match="adapter"):
        await group.perform(wrong)


async def test_every_rank_tells_what_it_found_for_a_canary_and_one_machine_finds_the_same(
    alone: Gang, group: Gang
) -> None:
    reference, found = await sung(alone), await sung(group)
    assert found == pytest.approx(reference, abs=TOLERANCE)
    assert len(found) == 3 * 4  # three letters and an end: one text is scored, and two are written
    for member in group.members:
        told = await asyncio.wait_for(member.told.canaries.get(), 10)
        assert [logprob for row in told.logprobs for logprob in row] == found  # over a ring all have the same bits


async def test_a_sequence_that_nobody_waits_for_leaves_all_ranks_at_the_same_step(alone: Gang, group: Gang) -> None:
    leaving = asyncio.create_task(group.perform(endless(1)))
    staying = asyncio.create_task(group.perform(endless(2)))
    await group.perform(sample(3))  # the others have begun
    leaving.cancel()
    (stayed,) = await staying
    assert cast("Generated", stayed).completion_tokens == 14
    assert words(await group.perform(sample(4))) == words(await alone.perform(sample(4)))


async def test_a_group_refuses_what_it_cannot_do_and_says_why(group: Gang) -> None:
    for body in ({"op": "fuse"}, {"op": "benchmark_compute", "budget_s": 1.0}):
        with pytest.raises(BadTask, match="one machine"):
            await group.ask(**body)
    with pytest.raises(BadTask, match="cannot be trained"):
        await group.ask(op="train")


async def test_three_ranks_answer_as_one_machine(alone: Gang, trio: Gang) -> None:
    there, here = await alone.perform(*TASKS[:2]), await trio.perform(*TASKS[:2])
    assert words(here) == words(there)
    assert figures(here) == pytest.approx(figures(there), abs=TOLERANCE)


async def test_a_load_is_refused_in_the_words_of_the_rank_that_cannot(trio: Gang, last_folder: Path) -> None:
    weights = (last_folder / "model.safetensors").rename(last_folder / "elsewhere")
    with pytest.raises(BadTask, match=r"^rank 2: the model in .* cannot be loaded"):
        await trio.ask(op="load")
    weights.rename(last_folder / "model.safetensors")
    await trio.ask(op="load")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def far_folder(scratch: Path) -> Path:
    return far_model.lengthen(scratch / "far")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def long_canary(scratch: Path, far_folder: Path) -> Logprobs:
    """What one machine finds for the longest that the far model reads."""
    async with loaded(scratch, far_folder) as one:
        return (await sing(partial(asked, one), MODEL, far_model.LONGEST))[1]


@pytest.mark.parametrize("parallelism", ["tensor", "pipeline"])
async def test_a_long_canary_of_a_group_finds_what_one_machine_finds(
    parallelism: Parallelism, scratch: Path, far_folder: Path, long_canary: Logprobs
) -> None:
    async with loaded(scratch, far_folder, loopback_ring(2, parallelism)) as group:
        length, found = await sing(partial(asked, group), MODEL, far_model.LONGEST + 1)
    assert length == far_model.LONGEST
    assert canary.difference(found, long_canary) == ""


# Rank 1's memory of what it has read is worth half, but only in steps of one token for several sequences.
DAMAGE = """
import importlib.machinery, json, sys

class Damaging(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "mlx_lm.models.cache":
            return None
        spec = super().find_spec(name, path, target)
        sound = spec.loader.exec_module

        def damaged(module):
            sound(module)
            update = module.BatchKVCache.update_and_fetch

            def halved(self, keys, values):
                rows, _, tokens, _ = keys.shape
                keys, values = update(self, keys, values)
                return keys, values * 0.5 if rows > 1 and tokens == 1 else values

            module.BatchKVCache.update_and_fetch = halved

        spec.loader.exec_module = damaged
        return spec

if json.loads(sys.orig_argv[-1])["rank"]["rank"] == 1:
    sys.meta_path.insert(0, Damaging)
"""


async def test_a_rank_that_goes_wrong_only_where_several_texts_are_written_is_found_out_by_a_canary(
    alone: Gang, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(DAMAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    _, sound = await sing(partial(asked, alone), MODEL)
    async with loaded(scratch, POCKET_FOLDER, loopback_ring(2, "tensor")) as group:
        _, found = await sing(partial(asked, group), MODEL)
    scored = len(canary.songs(MODEL, 0)) - 1
    assert canary.difference(found[:scored], sound[:scored]) == ""
    assert canary.difference(found, sound).startswith("log-probabilities differ")


async def asked(gang: Gang, body: Mapping[str, object]) -> dict[str, Any]:
    return await gang.ask(**body)


async def test_damaged_weights_of_one_rank_are_found_out_by_a_canary(
    alone: Gang, trio: Gang, last_folder: Path
) -> None:
    file = str(last_folder / "model.safetensors")
    whole = cast("dict[str, mx.array]", mx.load(file))
    mx.eval(whole)
    name = "model.layers.3.mlp.up_proj.weight"
    mx.save_safetensors(file, {**whole, name: whole[name] * 1.5})
    await trio.ask(op="load")
    reference, found = await sung(alone), await sung(trio)
    assert max(abs(here - there) for here, there in zip(found, reference, strict=True)) > 100 * TOLERANCE
    mx.save_safetensors(file, whole)
    await trio.ask(op="load")
    assert await sung(trio) == pytest.approx(reference, abs=TOLERANCE)
