"""What a group of nodes promises, with real processes over loopback."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import time
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import far_model
from tests.contract.groups.cable import cable
from tests.contract.groups.conftest import Alone
from tests.contract.groups.stations import Stations, question, stations

from realign_daemon.engine.api import Generate, Generated, LocalModel, Message, ModelId, Sampler
from realign_daemon.engine.errors import GroupDied
from realign_daemon.engine.models import LocalModels
from realign_daemon.engine.ranks import Parallelism
from realign_daemon.engine.supervisor import needed_bytes
from realign_daemon.grouping import mlx_version
from realign_daemon.groups import canary
from realign_daemon.groups.messages import Prepare, Prepared, Start, Started, Stop
from realign_daemon.rpc.channels import open_channel
from realign_daemon.rpc.group_link import GroupLinks

# From a rank's end to units that can be given to others. Silence is noticed after 4 s, an end at once; the rest is for
# a busy test machine.
DEADLINE_S = 6.0
FORMED_AGAIN_S = 15.0
STUCK_S = 10.0  # 6 s, a beat, a look, and the busy machine


async def losses_of(work: Sequence[Awaitable[Any]]) -> list[GroupDied]:
    """How the group was lost for each of these that it hit; the others were done by then."""
    found = await asyncio.gather(*work, return_exceptions=True)
    losses = [one for one in found if isinstance(one, GroupDied)]
    assert losses
    assert len(losses) == sum(isinstance(one, BaseException) for one in found)
    return losses


async def confirmed(nodes: Stations, task: Generate) -> None:
    """Its result has come, and a canary after it was good."""
    await nodes.head.grouping.engine.perform(task)
    confirmation = nodes.head.grouping.engine.confirmation()
    assert confirmation is not None
    await confirmation


async def until_working(nodes: Stations, model: LocalModel) -> list[asyncio.Task[Any]]:
    """Units that outlast any test: at such a temperature a text ends by accident only."""
    engine = nodes.head.grouping.engine
    sampler = Sampler(temperature=3.0, max_tokens=400)
    tasks = [
        asyncio.create_task(engine.perform(replace(question(model, seed), sampler=sampler))) for seed in range(200)
    ]
    await nodes.until(lambda: engine.status().state == "busy", within_s=5.0)
    return tasks


@pytest.mark.parametrize(("size", "parallelism"), [(2, "tensor"), (3, "pipeline")])
async def test_a_group_computes_what_a_node_alone_does(
    size: int, parallelism: Parallelism, tmp_path: Path, real_model: LocalModel, alone: Alone
) -> None:
    async with stations(tmp_path, *[real_model] * size, canaries=alone.canaries) as nodes:
        engine, wish = nodes.head.grouping.engine, nodes.wish(parallelism=parallelism)
        await engine.load(real_model, wish)
        tasks = [question(real_model, seed) for seed in range(len(alone.answers))]
        together = await asyncio.gather(*map(engine.perform, tasks))
        confirmation = engine.confirmation()
        assert confirmation is not None
        await confirmation
        for one, other in zip(together, alone.answers, strict=True):
            assert isinstance(one, Generated)
            assert one.text == other.text
            assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
        parts = [node.grouping.engine.status().group for node in nodes.all]
        assert not any(part and part.lacks_reference for part in parts)
        assert [part and (part.rank, part.nodes) for part in parts] == [(rank, wish.nodes) for rank in range(size)]
        assert nodes.all[1].grouping.berth.serves() == f"it is rank 1 of {size} of pocket, which node-0 leads"
        await engine.close()
        await nodes.until_nothing_is_left()


@pytest.mark.parametrize(("sign", "rank"), [(signal.SIGKILL, 0), (signal.SIGSTOP, 1)])
async def test_a_rank_that_dies_or_hangs_costs_seconds_and_its_node_is_named(
    sign: signal.Signals, rank: int, tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        await nodes.head.grouping.engine.load(real_model, nodes.wish())
        tasks = await until_working(nodes, real_model)
        await asyncio.sleep(random.uniform(0.0, 0.5))  # at any step
        began_s = time.monotonic()
        os.kill(nodes.pid(rank), sign)
        losses = await losses_of(tasks)
        assert time.monotonic() - began_s < DEADLINE_S
        assert {loss.lost for loss in losses} == {(f"node-{rank}",)}
        cause = "killed by SIGKILL" if sign is signal.SIGKILL else "a signal had stopped its process"
        assert f"rank {rank} on node-{rank}: {cause}" in losses[0].cause
        await nodes.until_nothing_is_left()


async def test_ranks_that_lose_each_other_while_they_rest_do_not_keep_the_work_that_comes_then(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    async with cable() as their, stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        for node in nodes.all:
            node.cable = their
        await nodes.head.grouping.engine.load(real_model, nodes.wish())
        their.pull()
        began_s = time.monotonic()
        (loss,) = await losses_of([nodes.head.grouping.engine.perform(question(real_model, 1))])
        assert time.monotonic() - began_s < STUCK_S
        assert "it got on with nothing for 6 s" in loss.cause
        await nodes.until_nothing_is_left()


async def test_a_node_that_is_cut_off_while_they_form_is_named_and_all_others_are_free(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        forming = asyncio.create_task(nodes.head.grouping.engine.load(real_model, nodes.wish()))
        await nodes.until(lambda: bool(nodes.all[1].grouping.berth.is_occupied), within_s=5.0)
        await nodes.all[1].close_door()
        (loss,) = await losses_of([forming])
        assert loss.lost == ("node-1",)
        await nodes.until_nothing_is_left()


@pytest.mark.long
async def test_a_rank_that_is_stopped_while_they_form_costs_seconds_and_another_group_is_formed(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        forming = asyncio.create_task(nodes.head.grouping.engine.load(real_model, nodes.wish()))
        await nodes.until(lambda: nodes.has_started(1), within_s=5.0)
        began_s = time.monotonic()
        os.kill(nodes.pid(1), signal.SIGSTOP)
        await forming
        assert time.monotonic() - began_s < FORMED_AGAIN_S


async def test_a_rank_may_not_listen_elsewhere_than_where_its_node_is_connected(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        nodes.head.others_at = "127.0.0.2"
        with pytest.raises(GroupDied, match=r"rank 1 on node-1: it gave 127\.0\.0\.1:\d+, where it is not connected"):
            await nodes.head.grouping.engine.load(real_model, nodes.wish())
        await nodes.until_nothing_is_left()


@pytest.mark.long
async def test_a_group_that_was_lost_is_formed_anew_under_another_name(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        engine = nodes.head.grouping.engine
        await engine.load(real_model, nodes.wish())
        first = engine.status().group
        nodes.all[1].grouping.berth.give_up("its owner wants it")
        await nodes.until(lambda: engine.status().group is None, within_s=DEADLINE_S)
        with pytest.raises(GroupDied, match="rank 1 on node-1: its owner wants it"):
            await engine.perform(question(real_model, 1))
        await engine.load(real_model, nodes.wish())
        second = engine.status().group
        assert first is not None
        assert second is not None
        assert first.group != second.group
        await engine.perform(question(real_model, 1))


async def test_a_member_whose_weights_changed_unseen_is_caught_before_any_result_counts(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    damaged = spoiled(real_model, tmp_path / "copy")
    async with stations(tmp_path, real_model, damaged, canaries=canaries) as nodes:
        engine = nodes.head.grouping.engine
        # Both remember what the weights gave when they were sound, so only the group's own canary can tell.
        with pytest.raises(GroupDied, match="canary: log-probabilities differ"):
            await engine.load(real_model, nodes.wish())
        # What was remembered is no longer believed, and found out anew: by itself each says what it really has.
        with pytest.raises(GroupDied, match="canary: node-0 and node-1 by itself computes other figures"):
            await engine.load(real_model, nodes.wish())
        await nodes.until_nothing_is_left()


async def test_results_since_the_last_good_canary_are_thrown_away_when_the_next_is_bad(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        engine = nodes.head.grouping.engine
        await engine.load(real_model, nodes.wish())
        nodes.all[1].lies = True
        with pytest.raises(GroupDied, match="canary") as caught:
            await confirmed(nodes, question(real_model, 1))
        assert caught.value.thrown_away == 1


async def test_without_a_reference_a_group_finds_the_same_again_and_a_canary_is_as_long_as_the_work_before_it(
    tmp_path: Path, real_model: LocalModel
) -> None:
    far = replace(real_model, path=far_model.lengthen(tmp_path / "far"))
    long_text = (Message(role="user", content="1+1=" * 100),)
    async with stations(tmp_path, far, far) as nodes:
        for node in nodes.all:
            node.spare_bytes = needed_bytes(far) - 1
        found = nodes.all[1].canaries
        await nodes.head.grouping.engine.load(far, nodes.wish(parallelism="pipeline"))
        await confirmed(nodes, question(far, 1))
        part = nodes.head.grouping.engine.status().group
        assert part is not None
        assert part.lacks_reference
        short, *others = found
        assert [canary.difference(other, short) for other in others] == ["", ""]
        found.clear()
        await confirmed(nodes, replace(question(far, 2), messages=long_text))
        long, again = found
        assert canary.difference(again, long) == ""
        assert canary.difference(long, short) != ""
        found.clear()
        await confirmed(nodes, question(far, 3))
        assert [canary.difference(other, short) for other in found] == [""]  # as is what was done since
        nodes.all[1].lies = True
        with pytest.raises(GroupDied, match="canary"):
            await confirmed(nodes, question(far, 4))


async def test_a_node_that_alone_read_shorter_canaries_only_is_not_at_odds_with_one_that_read_longer_ones(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        known = nodes.all[0].grouping.berth.references
        known.keep(real_model.model, known.of(real_model.model) * 2)
        await nodes.head.grouping.engine.load(real_model, nodes.wish())
        part = nodes.head.grouping.engine.status().group
        assert part is not None
        assert not part.lacks_reference


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("model", "it has not the weights of pocket that node-0 has"),
        ("mlx", "it has MLX 0.1 and node-0 has"),
        ("memory", "its part of pocket needs .* and 0.00 GB are free"),
        ("owner", "its owner has paused it"),
    ],
)
async def test_a_node_that_cannot_be_a_rank_says_why_and_starts_nothing(
    trouble: str, words: str, tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        other = nodes.all[1]
        match trouble:
            case "model":
                other.model = replace(real_model, model=ModelId("f" * 64))
            case "mlx":
                other.grouping.berth.mlx = "0.1"
            case "memory":
                other.spare_bytes = 0
            case _:
                other.objection = "its owner has paused it"
        with pytest.raises(GroupDied, match=f"rank 1 on node-1: {words}") as caught:
            await nodes.head.grouping.engine.load(real_model, nodes.wish())
        assert caught.value.lost == ("node-1",)
        await nodes.until_nothing_is_left()


@pytest.mark.long
async def test_a_node_serves_one_group_at_a_time(tmp_path: Path, real_model: LocalModel, canaries: Path) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        await nodes.head.grouping.engine.load(real_model, nodes.wish())
        other = nodes.all[1].grouping.engine
        wish = replace(nodes.wish(), nodes=("node-1", "node-0"))
        with pytest.raises(GroupDied, match="it is rank 1 of pocket already, which node-0 leads"):
            await other.load(real_model, wish)


async def test_a_node_starts_one_rank_and_not_before_it_has_looked_whether_it_may(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    asked = Prepare(
        group="g",
        nodes=("node-0", "node-1"),
        rank=1,
        backend="ring",
        parallelism="tensor",
        split=(),
        model=real_model.name,
        model_id=real_model.model,
        mlx=mlx_version(),
    )
    begin = Start(hosts=(("127.0.0.1:5001",), ("127.0.0.1:5002",)))
    async with (
        stations(tmp_path, real_model, real_model, canaries=canaries) as nodes,
        open_channel(nodes.all[1].address) as channel,
        GroupLinks(lambda _: channel).connect("node-1") as link,
    ):
        events = link.events()
        for command in (asked, begin):
            await link.send(command)
        assert isinstance(await anext(events), Prepared)
        for command in (begin, begin, Stop()):
            await link.send(command)
        assert [type(event) for event in [event async for event in events]] == [Started]
        await nodes.until_nothing_is_left()


@pytest.mark.parametrize("names", [("node-1", "node-0"), ("node-0",), ("node-0", "node-0"), ()])
async def test_a_wish_that_is_no_group_of_this_head_is_refused(
    names: tuple[str, ...], tmp_path: Path, real_model: LocalModel
) -> None:
    async with stations(tmp_path, real_model, real_model) as nodes:
        with pytest.raises(GroupDied, match="no group with this node at its head"):
            await nodes.head.grouping.engine.load(real_model, replace(nodes.wish(), nodes=names))


def spoiled(model: LocalModel, folder: Path) -> LocalModel:
    """A copy of the model that was hashed while it was sound; now some numbers are others, unseen by any date."""
    shutil.copytree(model.path, folder / "copied")
    shelf = LocalModels([folder], folder / "hashes.json", hub=folder / "no-hub")
    sound = shelf.all()
    weights = next((folder / "copied").glob("*.safetensors"))
    before = weights.stat()
    data = bytearray(weights.read_bytes())
    middle = 8 + int.from_bytes(data[:8], "little") + len(data) // 2
    for place in range(middle, middle + 40_000, 4):
        data[place : place + 4] = b"\0\0\x40\x3f"  # 0.75 as float32
    weights.write_bytes(data)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert shelf.all() == sound, "nobody notices"
    found = shelf.find("copied")
    assert found is not None
    assert found.model == model.model
    return replace(found, name=model.name)
