"""What a rank is told, and what it tells."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from realign_daemon.engine.ranks import (
    Beat,
    CanaryTaken,
    Formed,
    Gather,
    GroupPlan,
    Holding,
    Rank,
    read_event,
    read_rank,
)

RING = GroupPlan(group="g1", backend="ring", parallelism="tensor", hosts=(("10.0.0.1:5001",), ("10.0.0.2:5001",)))
CABLES = (((), ("rdma_en5", "rdma_en3")), (("rdma_en4", "rdma_en2"), ()))
JACCL = GroupPlan(group="g2", backend="jaccl", parallelism="pipeline", devices=CABLES, split=(4, 2))


@pytest.mark.parametrize("plan", [RING, JACCL])
def test_a_rank_is_the_same_after_its_way_to_the_child(plan: GroupPlan) -> None:
    rank = Rank(plan=plan, rank=1, folder=Path("/models/big"))
    assert read_rank(json.loads(json.dumps(rank.as_plain()))) == rank
    assert (plan.size, plan.problem()) == (2, "")


def test_the_files_that_mlx_reads_name_every_rank() -> None:
    assert json.loads(Rank(plan=RING, rank=0, folder=Path()).hostfile()) == [["10.0.0.1:5001"], ["10.0.0.2:5001"]]
    parallel = json.loads(Rank(plan=JACCL, rank=0, folder=Path()).device_file())
    assert parallel == [[None, ["rdma_en5", "rdma_en3"]], [["rdma_en4", "rdma_en2"], None]]
    single = replace(JACCL, devices=(((), ("rdma_en5",)), (("rdma_en4",), ())))
    assert json.loads(Rank(plan=single, rank=0, folder=Path()).device_file()) == [
        [None, "rdma_en5"],
        ["rdma_en4", None],
    ]


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (replace(RING, hosts=RING.hosts[:1]), "at least two ranks"),
        (replace(RING, hosts=((), ())), "addresses"),
        (replace(RING, hosts=(("10.0.0.1:1", "10.0.1.1:1"), ("10.0.0.2:1",))), "the same number"),
        (replace(JACCL, devices=(CABLES[0], CABLES[1][:1])), "not square"),
        (replace(JACCL, devices=((("rdma_en9",), CABLES[0][1]), CABLES[1])), "leads to itself"),
        (replace(JACCL, split=(6,)), "each of 2 ranks a layer"),
        (replace(JACCL, split=(6, 0)), "each of 2 ranks a layer"),
    ],
)
def test_a_plan_that_forms_no_group_says_why(plan: GroupPlan, says: str) -> None:
    assert says in plan.problem()


def test_events_are_told_from_replies() -> None:
    frames = [
        {"formed": True},
        {"beat": [7, True]},
        {"gather": b"\x01"},
        {"holding": [12, 10]},
        {"canary": [3, [[-0.5, -1.0], [-2.0]]]},
        {"id": 3, "value": "loaded"},
        {"tick": 0.5},
    ]
    assert [read_event(frame) for frame in frames] == [
        Formed(),
        Beat(steps=7, busy=True),
        Gather(data=b"\x01"),
        Holding(active_bytes=12, weight_bytes=10),
        CanaryTaken(request=3, logprobs=((-0.5, -1.0), (-2.0,))),
        None,
        None,
    ]
