"""Small decisions around a group."""

from __future__ import annotations

import socket
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.cluster.facts import Cable, NodeFacts, NodeId
from realign_daemon.engine.api import LocalModel, ModelId, ModelShape
from realign_daemon.engine.ranks import Parallelism
from realign_daemon.engine.supervisor import CHILD_BYTES
from realign_daemon.groups.addresses import free_port, host_of, is_at, port_facing
from realign_daemon.groups.berth import rank_bytes, share_of
from realign_daemon.groups.cables import matrix_of
from realign_daemon.groups.messages import Prepare
from realign_daemon.groups.references import References
from realign_daemon.rpc.neighbours import planner_facts
from realign_planner.batching import group_batch_size
from realign_planner.fit import GroupFit, fit_group
from realign_planner.models import ModelFacts

GB = 10**9


def asked(parallelism: Parallelism, rank: int, size: int, split: tuple[int, ...] = ()) -> Prepare:
    return Prepare(
        group="g",
        nodes=tuple(f"n{place}" for place in range(size)),
        rank=rank,
        backend="ring",
        parallelism=parallelism,
        split=split,
        model="m",
        model_id=ModelId("f" * 64),
        mlx="1",
    )


@given(st.lists(st.integers(1, 90), min_size=2, max_size=6).map(tuple))
def test_the_shares_of_all_ranks_make_one_model(split: tuple[int, ...]) -> None:
    ranks = range(len(split))
    assert abs(sum(share_of(asked("pipeline", rank, len(split), split)) for rank in ranks) - 1.0) < 1e-9
    assert abs(sum(share_of(asked("tensor", rank, len(split))) for rank in ranks) - 1.0) < 1e-9
    assert all(share_of(asked("data", rank, len(split))) == 1.0 for rank in ranks)


LLAMA_2 = LocalModel(
    name="meta-llama/Llama-2-7b-chat-hf",
    model=ModelId("f" * 64),
    path=Path("/nowhere"),
    params_b=6.7,
    active_params_b=6.7,
    bits=4,
    weight_bytes=3_800_000_000,
    shape=ModelShape(layers=32, heads=32, kv_heads=32, kv_values=8192, tensor=True, pipeline=False),
)


@pytest.mark.parametrize("parallelism", ["tensor", "pipeline"])
def test_a_rank_takes_its_part_of_the_weights_and_of_the_cache_that_is_planned(parallelism: Parallelism) -> None:
    wanted = asked(parallelism, 0, 2)
    cache_bytes = 2048 * 32 * 8192 * 2  # of one sequence
    for batch_size in (1, 8):
        planned = (3_800_000_000 + batch_size * cache_bytes) // 2
        assert rank_bytes(LLAMA_2, replace(wanted, batch_size=batch_size)) == planned + CHILD_BYTES


@given(st.integers(2_000_000_000, 40_000_000_000))
def test_a_batch_that_is_planned_for_the_free_memory_of_two_nodes_is_admitted_by_both(free_bytes: int) -> None:
    one = NodeFacts(node_id=NodeId("a"), name="a", memory_bytes=64 * GB, usable_bytes=48 * GB, free_bytes=free_bytes)
    members = [planner_facts(node) for node in (one, replace(one, name="b"))]
    model = ModelFacts(
        name="m", repo=None, params_b=7.0, active_params_b=7.0, bits=4, layers=32, kv_values=8192, heads=32, kv_heads=32
    )
    layout = fit_group(model, members)
    if isinstance(layout, GroupFit):
        batch_size = group_batch_size(layout, members)
        assert rank_bytes(LLAMA_2, replace(asked("tensor", 0, 2), batch_size=batch_size)) <= free_bytes


def test_a_rank_whose_batch_or_cache_nobody_knows_takes_one_sequence_or_a_fifth_of_its_weights() -> None:
    wanted = asked("tensor", 0, 2)
    assert rank_bytes(LLAMA_2, wanted) == rank_bytes(LLAMA_2, replace(wanted, batch_size=1))
    unknown = rank_bytes(replace(LLAMA_2, shape=None), replace(wanted, batch_size=8))
    assert unknown == int(3_800_000_000 * 1.2 / 2) + CHILD_BYTES


def test_each_rank_gets_the_devices_that_lead_to_each_other_one_and_parallel_cables_in_one_order() -> None:
    first = (
        Cable(device="rdma_en5", domain="A1", peer_domain="B1"),
        Cable(device="rdma_en3", domain="A2", peer_domain="B2"),
        Cable(device="rdma_en4", domain="A3", peer_domain="elsewhere"),
    )
    second = (
        Cable(device="rdma_en9", domain="B2", peer_domain="A2"),
        Cable(device="rdma_en8", domain="B1", peer_domain="A1"),
    )
    assert matrix_of((first, second)) == (((), ("rdma_en5", "rdma_en3")), (("rdma_en8", "rdma_en9"), ()))
    assert matrix_of((first, ())) == (((), ()), ((), ()))


def test_a_port_is_one_of_the_address_that_the_other_side_reaches() -> None:
    assert host_of(port_facing("127.0.0.1")) == "127.0.0.1"


def test_a_port_that_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    free = free_port("127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        offered = chain([taken, free], repeat(taken))

        def offer(_: range) -> int:
            return next(offered)

        monkeypatch.setattr("secrets.choice", offer)
        assert free_port("127.0.0.1") == free
        with pytest.raises(OSError, match="in use"):
            free_port("127.0.0.1")


@pytest.mark.parametrize(
    ("address", "host", "is_there"),
    [
        ("127.0.0.1:5000", "127.0.0.1", True),
        ("127.0.0.1:5000", "localhost", True),
        ("10.0.0.9:5000", "127.0.0.1", False),
        ("127.0.0.1:22", "127.0.0.1", False),
        ("127.0.0.1:99999", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("127.0.0.1:5000", "", False),
    ],
)
async def test_a_rank_listens_on_its_node_and_on_a_port_that_anybody_may_have(
    address: str, host: str, *, is_there: bool
) -> None:
    assert await is_at(address, host) is is_there


def test_a_reference_is_one_of_the_same_weights_and_the_same_mlx(tmp_path: Path) -> None:
    model, file = ModelId("f" * 64), tmp_path / "canaries.json"
    References(file, mlx="1").keep(model, ((-1.0, -2.0),))
    assert References(file, mlx="1").of(model) == ((-1.0, -2.0),)
    assert References(file, mlx="2").of(model) == ()
    assert References(file, mlx="1").of(ModelId("e" * 64)) == ()
    References(file, mlx="1").forget(model)
    assert References(file, mlx="1").of(model) == ()
