"""What people read, from values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_client.render.figures import BAR_WIDTH, bar, duration, rate, size
from realign_client.render.jobs import gate_line, job_lines, jobs_lines
from realign_client.render.plan import plan_lines
from realign_client.render.status import status_lines
from realign_client.render.summary import summary_lines
from realign_client.render.table import table
from realign_client.terminal import printable
from realign_client.watching import event_line
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1 import facts_pb2, status_pb2


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.23, "4.2s"), (42, "42s"), (200, "3m 20s"), (3900, "1h 5m"), (90000, "1d 1h")]
)
def test_a_duration_shows_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (2_800_000_000, "2.8 GB"), (128e9, "128 GB")])
def test_sizes_are_decimal(count: float, text: str) -> None:
    assert size(count) == text


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_bar_is_full_exactly_when_everything_is_done(done: int, total: int) -> None:
    drawn = bar(done, total)
    assert len(drawn) == BAR_WIDTH
    assert (drawn == "█" * BAR_WIDTH) == (done >= total > 0)


def test_columns_line_up() -> None:
    assert table(("A", "N"), [("long", "1"), ("b", "100")], right=(1,)) == ["A       N", "long    1", "b     100"]


def running(**fields: Any) -> pb.Job:
    stages = [
        pb.JobStage(name="parse", state="done", units=pb.UnitCounts(total=2, done=2)),
        pb.JobStage(
            name="score", title="Score pairs", state="running", units=pb.UnitCounts(total=9, done=3, retried=1)
        ),
    ]
    nodes = [pb.JobNode(name="left", units=3, examples=30, examples_per_s=3.862, state="working")]
    values: dict[str, Any] = {"id": "dpo-1", "state": "running", "stages": stages, "nodes": nodes, "eta_s": 65.0}
    return pb.Job(**values | fields)


def test_a_job_shows_stages_units_trouble_nodes_speed_and_time_left() -> None:
    text = "\n".join(job_lines(running(examples_per_s=3.862)))
    for part in ("Score pairs", "3/9", "1 retried", "left", "3.86 ex/s", "about 1m 5s left"):
        assert part in text


def test_a_progress_event_is_one_line_with_stage_units_speed_of_each_node_and_time_left() -> None:
    line = event_line(pb.JobEvent(job=running(), kind="progress"))
    assert line == "dpo-1 running: Score pairs 3/9, about 1m 5s left, left 3.86 ex/s"


def test_an_event_that_says_something_is_shown_as_it_says_it() -> None:
    assert event_line(pb.JobEvent(job=running(), kind="gate", text="gap 0.22: HIGH")) == "gap 0.22: HIGH"


def test_a_verdict_shows_value_interval_count_and_remedy() -> None:
    gate = pb.GateVerdict(
        stage="score", metric="gap", tier="REJECT", value=0.051, low=0.03, high=0.07, n=120, remedy="raise --count"
    )
    assert gate_line(gate) == "gate score/gap: REJECT 0.051 [0.03, 0.07] n=120 → raise --count"


def test_a_blocked_job_says_how_to_go_on() -> None:
    gates = [pb.GateVerdict(tier="REJECT", remedy="raise --count"), pb.GateVerdict(tier="HIGH")]
    assert "remedy: raise --count" in job_lines(running(state="blocked", gates=gates))


def test_a_list_of_no_jobs_says_how_to_make_one() -> None:
    assert jobs_lines([]) == ["no jobs yet; `realignctl submit` makes one"]


def test_a_summary_shows_what_was_made_how_good_it_is_and_how_the_prediction_held() -> None:
    summary = {
        "workflow": {"data_type": "DPO", "quality_tier": "HIGH"},
        "performance": {"throughput": "3.86 ex/s"},
        "quality": {"preference_gap": 0.22, "recommendations": ["one", "two"]},
        "output": {"examples": 15000},
        "cost": {"cost_per_example": None},
        "self_test": {"planted": 24, "detected": 24, "false_alarms": 0},
        "plan": {"predicted": {"makespan_s": 60}, "actual": {"makespan_s": 75}},
    }
    text = "\n".join(summary_lines(running(state="completed", summary_json=json.dumps(summary))))
    for part in ("DPO", "HIGH", "0.22", "15000", "one", "two", "found 24 of 24", "predicted 1m 0s, took 1m 15s"):
        assert part in text


def test_a_job_that_failed_before_a_summary_says_why() -> None:
    assert summary_lines(pb.Job(id="j", state="failed", error="the disk is full")) == [
        "job j: failed",
        "the disk is full",
    ]


def plan(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "data_type": "dpo",
        "skill": "realign-dpo-workflow",
        "confidence": 0.9,
        "model": {"name": "Qwen 7B", "params_b": 7, "bits": 16, "bytes": 14e9},
        "strategy": "single_machine",
        "nodes": [{"name": "M4 Max", "share": 1.0, "batch_size": 32}],
        "standby": ["M3 Ultra"],
        "backend": None,
        "predicted": {
            "examples_per_s": 3.86,
            "makespan_s": 3900,
            "stages": [{"stage": "s", "units": 5, "tokens": 9, "low_s": 1.0, "high_s": 2.0, "basis": "measured"}],
        },
        "reasons": ["it fits"],
        "alternatives": [{"strategy": "sharded", "nodes": ["a", "b"], "rejected_because": "slower"}],
        "warnings": ["no count"],
        "needs": None,
    }
    return document | changes


def test_a_plan_shows_nodes_batches_prediction_reasons_and_what_was_rejected() -> None:
    text = "\n".join(plan_lines(plan()))
    for part in ("M4 Max", "32", "standby", "1h 5m", "measured", "why: it fits", "slower", "warning: no count"):
        assert part in text


def test_a_plan_that_does_not_fit_says_what_it_needs() -> None:
    text = "\n".join(plan_lines(plan(strategy=None, nodes=[], predicted=None, needs={"bytes": 810e9})))
    assert "nothing fits: one machine or group with 810 GB is needed" in text


def test_a_plan_shows_who_holds_what_of_a_divided_model_what_a_step_costs_and_who_trains() -> None:
    group = {
        "backend": "jaccl",
        "parallelism": "pipeline",
        "examples_per_s": 0.145,
        "ranks": [
            {"rank": 0, "node": "M4 Max", "share": 0.198, "layers": [102, 126], "bytes": 94_100_000_000},
            {"rank": 1, "node": "M3 Ultra", "share": 0.802, "layers": [1, 101], "bytes": 380_000_000_000},
        ],
        "step": {"batch_size": 4, "compute_s": 0.1146, "waiting_s": 0.0004, "collectives": 2, "message_s": 0.0002},
        "link": {"latency_s": 15e-6, "bytes_per_s": 6e9, "basis": "measured"},
    }
    training = {
        "stage": "train",
        "nodes": ["a", "b"],
        "backend": "ring",
        "alone_s": 300.0,
        "group_s": 180.0,
        "gain": 1.67,
        "gradient_bytes": 80_000_000,
        "because": "a group is predicted 1.67 times as fast",
    }
    models = [{"name": "235B", "group": group}, {"name": "235B", "group": group}, {"name": "7B", "group": None}]
    text = "\n".join(plan_lines(plan(models=models, training=training)))
    for part in (
        "235B on one group over jaccl, whole layers each, in turn (pipeline): 0.145 ex/s",
        "102-126",
        "380 GB",
        "a token of 4 sequences takes 115 ms: 115 ms of compute, 2 messages of 0.2 ms",
        "(link: 15 us and 6 GB/s, measured)",
        "training on a, b as one group over ring, 3m 0s instead of 5m 0s alone: a group is predicted 1.67 times",
    ):
        assert part in text
    assert text.count("on one group") == 1
    alone = training | {"nodes": ["a"], "backend": None, "because": "no other node"}
    assert "training on a alone, 5m 0s: no other node" in "\n".join(plan_lines(plan(models=models, training=alone)))


def test_a_status_shows_leader_members_engine_and_jobs() -> None:
    status = status_pb2.NodeStatus(
        node=status_pb2.NodeIdentity(id="n1", name="left", version="0.1", chip="M4 Max", memory_bytes=128 * 10**9),
        leader=status_pb2.Leader(id="n2", name="right", term=3),
        members=[
            status_pb2.Member(id="n1", name="left", state="alive"),
            status_pb2.Member(id="n2", name="right", state="suspect", last_seen_s=3.2),
        ],
        engine=facts_pb2.EngineState(state="failed", last_error="it ran out of memory"),
        jobs=[status_pb2.JobProgress(id="dpo-1", state="running", units_done=3, units_total=9)],
        refused=[
            status_pb2.Refused(address="10.0.0.9:7411", reason="it is too old"),
            status_pb2.Refused(reason="it is too new"),
        ],
    )
    text = "\n".join(status_lines(status))
    for part in ("leader   right (term 3)", "right*", "suspect", "3.2s ago", "it ran out of memory", "3/9", "128 GB"):
        assert part in text
    for part in ("refused 10.0.0.9:7411: it is too old", "refused a caller: it is too new"):
        assert part in text


def test_status_says_what_keeps_a_node_from_working_and_that_it_slept() -> None:
    paused = facts_pb2.NodeFacts(name="left", paused=True, refusal="its owner has paused it", pause_left_s=7199.6)
    slept = facts_pb2.NodeFacts(name="right", last_sleep=facts_pb2.MachineSleep(slept_s=10_800, woke_unix_s=1e9))
    status = status_pb2.NodeStatus(
        members=[
            status_pb2.Member(id="l", name="left", state="alive", facts=paused),
            status_pb2.Member(id="r", name="right", state="alive", facts=slept),
            status_pb2.Member(id="g", name="gone", state="dead", facts=paused),
        ]
    )
    *table_lines, first, second = status_lines(status)
    assert [line.split()[1] for line in table_lines[-3:]] == ["paused", "alive", "dead"]
    assert first == "left takes no work: its owner has paused it, for another 2h 0m"
    assert second.startswith("right slept for 3h 0m, until ")


def test_status_says_that_a_full_disk_keeps_out_what_other_nodes_made() -> None:
    ledger = status_pb2.LedgerState(rows=7, lacks_room=True)
    said = "no results or files of other nodes are taken in; free some space"
    assert any(said in line for line in status_lines(status_pb2.NodeStatus(ledger=ledger)))
    assert not any(said in line for line in status_lines(status_pb2.NodeStatus()))


def test_a_witness_is_called_one_while_it_lives() -> None:
    facts = facts_pb2.NodeFacts(name="nas", witness=True)
    members = [status_pb2.Member(id=state, name="nas", state=state, facts=facts) for state in ("alive", "dead")]
    *_, alive, dead = status_lines(status_pb2.NodeStatus(members=members))
    assert [line.split()[1] for line in (alive, dead)] == ["witness", "dead"]
    assert "not measured" not in alive


def test_words_of_other_machines_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\u202ec") == "a [2Jb c"


def test_rates_have_three_digits() -> None:
    assert [rate(value) for value in (0.7567, 3.862, 776.4)] == ["0.757 ex/s", "3.86 ex/s", "776 ex/s"]
