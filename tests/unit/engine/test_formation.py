"""How a process becomes a rank, as far as that can be seen without a second one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from realign_daemon.engine.child.formation import NoGroup, prepare
from realign_daemon.engine.environment import EngineSettings, child_environment
from realign_daemon.engine.frames import read_frame_blocking, write_frame_blocking
from realign_daemon.engine.ranks import GroupPlan, Rank

RING = GroupPlan(group="g1", backend="ring", parallelism="tensor", hosts=(("10.0.0.1:5001",), ("10.0.0.2:5001",)))
JACCL = GroupPlan(group="g2", backend="jaccl", parallelism="tensor", devices=(((), ("rdma_en5",)), (("rdma_en3",), ())))


# A rank that shakes hands once over its pipes and says what came of it.
SHAKING = """
import os, sys
from pathlib import Path
from realign_daemon.engine.child.formation import hand_shake
from realign_daemon.engine.child.inbox import Inbox
from realign_daemon.engine.child.outbox import Outbox
from realign_daemon.engine.ranks import GroupPlan, Rank

plan = GroupPlan(group="g", backend="jaccl", parallelism="tensor", devices=((), ()))
outbox = Outbox(sys.stdout.buffer)
gather = hand_shake(Rank(plan=plan, rank=1, folder=Path()), Inbox(sys.stdin.buffer), outbox)
try:
    outbox.value(0, gather(b"one!", 4))
except RuntimeError as error:
    outbox.value(0, str(error))
os._exit(0)
"""


def prepared(plan: GroupPlan) -> dict[str, str]:
    environment: dict[str, str] = {}
    prepare(Rank(plan=plan, rank=1, folder=Path()), environment)
    return environment


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_ring_is_told_by_a_file_of_hosts() -> None:
    environment = prepared(RING)
    assert environment.keys() == {"MLX_RANK", "MLX_HOSTFILE"}
    assert environment["MLX_RANK"] == "1"
    assert json.loads(Path(environment["MLX_HOSTFILE"]).read_text()) == [["10.0.0.1:5001"], ["10.0.0.2:5001"]]


def test_jaccl_is_told_by_a_file_of_devices_and_a_coordinator_only_where_there_is_one() -> None:
    environment = prepared(JACCL)
    assert environment.keys() == {"MLX_RANK", "MLX_IBV_DEVICES"}
    assert json.loads(Path(environment["MLX_IBV_DEVICES"]).read_text()) == [[None, "rdma_en5"], ["rdma_en3", None]]
    assert prepared(replace(JACCL, coordinator="10.0.0.1:4000"))["MLX_JACCL_COORDINATOR"] == "10.0.0.1:4000"


def test_parallel_cables_are_used_by_a_ring_for_the_mesh_would_use_one() -> None:
    cables = (((), ("rdma_en5", "rdma_en4")), (("rdma_en3", "rdma_en2"), ()))
    assert "MLX_JACCL_RING" in prepared(replace(JACCL, devices=cables))


def test_a_plan_that_is_none_is_refused_before_mlx_sees_it() -> None:
    with pytest.raises(NoGroup, match=r"^rank 1 of group g1 \(ring\): a group has at least two ranks, this has 1$"):
        prepared(replace(RING, hosts=RING.hosts[:1]))


@pytest.mark.parametrize(
    ("answer", "comes"),
    [(b"nul!one!", b"nul!one!"), (b"one!", "the hand-shake brought 4 bytes, 4 of each rank were due")],
)
def test_the_hand_shake_goes_over_the_pipes_and_brings_the_parts_of_all_ranks(answer: bytes, comes: object) -> None:
    with subprocess.Popen([sys.executable, "-c", SHAKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        requests, replies = cast("BinaryIO", child.stdin), cast("BinaryIO", child.stdout)
        assert read_frame_blocking(replies) == {"gather": b"one!"}
        write_frame_blocking(requests, {"op": "gathered", "data": answer})
        assert read_frame_blocking(replies) == {"id": 0, "value": comes}


def test_fast_synchronisation_is_left_alone_in_a_group_unless_the_owner_says_so() -> None:
    name = "MLX_METAL_FAST_SYNCH"
    assert child_environment({name: "1"}, EngineSettings())[name] == "1"
    assert name not in child_environment({name: "1"}, EngineSettings(), in_group=True)
    assert child_environment({}, EngineSettings(env={name: "1"}), in_group=True)[name] == "1"
