"""The plain form of messages that `--json` prints."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from realign_client.plain import plain, plain_status
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1 import facts_pb2, status_pb2


def test_64_bit_integers_are_numbers() -> None:
    assert plain(pb.UnitCounts(total=2**53 - 1, done=1)) == {
        "total": 2**53 - 1,
        "done": 1,
        "retried": 0,
        "quarantined": 0,
    }


def test_an_optional_field_that_is_not_set_is_null_and_a_zero_that_is_set_is_zero() -> None:
    verdict = plain(pb.GateVerdict(value=0.0))
    assert (verdict["value"], verdict["low"], verdict["high"]) == (0.0, None, None)


def test_a_message_that_is_not_set_is_null() -> None:
    assert plain(facts_pb2.NodeFacts())["benchmark"] is None


def test_a_map_is_an_object_and_a_repeated_field_a_list() -> None:
    benchmark = plain(facts_pb2.HostBenchmark(gflops={"float32": 2.0}, models=[facts_pb2.ModelBenchmark(model="a")]))
    assert benchmark["gflops"] == {"float32": 2.0}
    assert [model["model"] for model in benchmark["models"]] == ["a"]


def test_fields_that_hold_json_are_parsed_and_lose_their_suffix() -> None:
    job = plain(pb.Job(predicted_json='{"makespan_s": 3}', actual_json="null"))
    assert job["predicted"] == {"makespan_s": 3}
    assert (job["actual"], job["summary"]) == (None, None)
    assert not [key for key in job if key.endswith("_json")]


def test_the_job_document_has_the_keys_of_the_contract() -> None:
    job = pb.Job(
        stages=[pb.JobStage(units=pb.UnitCounts())],
        nodes=[pb.JobNode()],
        gates=[pb.GateVerdict(undecided=True)],
    )
    document = plain(job)
    assert set(document) >= {
        *("id", "state", "home", "output", "stages", "nodes", "gates", "predicted", "actual", "error")
    }
    assert set(document["stages"][0]) >= {"name", "state", "units"}
    assert set(document["stages"][0]["units"]) == {"total", "done", "retried", "quarantined"}
    assert set(document["nodes"][0]) >= {"name", "units", "examples", "examples_per_s"}
    assert set(document["gates"][0]) >= {
        *("stage", "metric", "tier", "value", "low", "high", "n", "undecided", "remedy")
    }


def test_the_status_document_has_the_keys_of_the_contract() -> None:
    status = status_pb2.NodeStatus(
        node=status_pb2.NodeIdentity(id="a"),
        leader=status_pb2.Leader(id="a", since_unix_s=0.0),
        members=[status_pb2.Member(id="a")],
        benchmark=facts_pb2.HostBenchmark(models=[facts_pb2.ModelBenchmark()]),
        engine=facts_pb2.EngineState(state="ready"),
        jobs=[status_pb2.JobProgress(id="j")],
        ledger=status_pb2.LedgerState(rows=1),
        disk=status_pb2.Disk(free_bytes=1),
        power=facts_pb2.Power(source="ac"),
    )
    document = plain_status(status)
    expected = {
        "node": {"id", "name", "version", "protocol", "chip", "memory_bytes", "uptime_s", "roles"},
        "leader": {"id", "name", "term", "since"},
        "benchmark": {"gflops", "bandwidth_gbs", "models", "measured_at"},
        "engine": {"state", "model", "pid", "rss_bytes"},
        "ledger": {"rows", "under_replicated", "lacks_room"},
        "disk": {"free_bytes"},
    }
    for section, keys in expected.items():
        assert set(document[section]) >= keys
    assert set(document["members"][0]) >= {"id", "name", "state", "last_seen_s", "addresses", "version"}
    assert set(document["benchmark"]["models"][0]) >= {
        *("model", "prefill_tps", "decode_tps", "peak_batch_size", "examples_per_s")
    }
    assert set(document["jobs"][0]) >= {
        *("id", "state", "stage", "stages_total", "units_done", "units_total", "examples_per_s", "eta_s")
    }
    assert document["leader"]["since"] == "1970-01-01T00:00:00Z"


def test_a_cluster_without_a_leader_has_null_for_one() -> None:
    assert plain_status(status_pb2.NodeStatus(leader=status_pb2.Leader()))["leader"] is None


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False), st.lists(st.text()))
def test_every_job_document_is_json(request: str, speed: float, warnings: list[str]) -> None:
    document = plain(pb.Job(request=request, examples_per_s=speed, warnings=warnings))
    assert json.loads(json.dumps(document)) == document
