"""A rank's memory: its node looks before it starts one whether the weights and the planned cache fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.groups.stations import Stations, stations

from realign_daemon.engine.api import LocalModel
from realign_daemon.grouping import mlx_version
from realign_daemon.groups.messages import Ended, Event, Prepare, Prepared
from realign_daemon.rpc.channels import open_channel
from realign_daemon.rpc.group_link import GroupLinks

SPARE_BYTES = 300_000_000  # a child without a model counts 268 MB, and a sequence of half the pocket model 2.4 MB


async def answer_of(nodes: Stations, model: LocalModel, *, batch_size: int) -> Event:
    """What the second node says when it is asked to be a rank that decodes so many sequences together."""
    asked = Prepare(
        group="g",
        nodes=("node-0", "node-1"),
        rank=1,
        backend="ring",
        parallelism="tensor",
        split=(),
        model=model.name,
        model_id=model.model,
        mlx=mlx_version(),
        batch_size=batch_size,
    )
    async with (
        open_channel(nodes.all[1].address) as channel,
        GroupLinks(lambda _: channel).connect("node-1") as link,
    ):
        await link.send(asked)
        return await anext(link.events())


@pytest.mark.parametrize("batch_size", [0, 8])
async def test_a_node_is_a_rank_where_the_planned_sequences_fit(
    tmp_path: Path, real_model: LocalModel, canaries: Path, batch_size: int
) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        nodes.all[1].spare_bytes = SPARE_BYTES
        assert isinstance(await answer_of(nodes, real_model, batch_size=batch_size), Prepared)


async def test_a_node_is_no_rank_where_the_planned_sequences_do_not_fit_and_says_how_much_it_lacks(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        nodes.all[1].spare_bytes = SPARE_BYTES
        answer = await answer_of(nodes, real_model, batch_size=200)
        assert isinstance(answer, Ended)
        assert answer.is_refusal
        assert "its part of pocket needs 0.74 GB and 0.30 GB are free" in answer.cause
