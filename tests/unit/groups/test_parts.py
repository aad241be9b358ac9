"""Small decisions around a group."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine.api import ModelId
from realign_daemon.engine.ranks import Parallelism
from realign_daemon.groups.addresses import host_of, is_at, port_facing
from realign_daemon.groups.berth import share_of
from realign_daemon.groups.cables import matrix_of, read_cables
from realign_daemon.groups.messages import Cable, Prepare
from realign_daemon.groups.references import References
from realign_daemon.groups.residue import unreturned_bytes

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


def test_without_the_systems_programs_there_are_no_cables() -> None:
    assert read_cables(lambda _: "") == ()


def test_a_port_is_one_of_the_address_that_the_other_side_reaches() -> None:
    assert host_of(port_facing("127.0.0.1")) == "127.0.0.1"


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


def test_memory_counts_as_lost_when_half_of_what_was_held_stays_wired() -> None:
    assert unreturned_bytes(before=10 * GB, after=50 * GB, held=60 * GB) == 40 * GB
    assert unreturned_bytes(before=10 * GB, after=30 * GB, held=60 * GB) == 0
    assert unreturned_bytes(before=10 * GB, after=10 * GB + 2**29, held=2**28) == 0
    assert unreturned_bytes(before=10 * GB, after=9 * GB, held=60 * GB) == 0
