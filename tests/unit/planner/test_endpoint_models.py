"""Plans with models that nodes ask servers for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from realign_planner.document import plan_document
from realign_planner.model_config import ConfigFacts
from realign_planner.nodes import ClusterFacts, NodeFacts, ServerMeasurement
from realign_planner.plan import Plan, PlanRequest
from realign_planner.strategy import make_plan

URL = "http://gpu.lan:8000"
FAR = "big@gpu"
CONFIG = ConfigFacts(
    params_b=400.0,
    active_params_b=400.0,
    bits=16,
    layers=None,
    heads=None,
    kv_heads=None,
    kv_values=None,
    tensor=None,
    pipeline=None,
    templates="standard",
    endpoint=URL,
)
SMALL = NodeFacts(name="small", memory_bytes=2**33, usable_bytes=2**32, gflops=300.0)
OTHERS = tuple(replace(SMALL, name=name, memory_bytes=2**37, usable_bytes=2**36) for name in ("a", "b", "c"))


def plan_of(*nodes: NodeFacts, holders: tuple[str, ...] = ("small",), **request: Any) -> Plan:
    roles: dict[str, Any] = {"generator": FAR, "judge": FAR, "target": "pocket"} | request
    found = make_plan(
        PlanRequest(text="Curate DPO pairs", count=100, **roles),
        ClusterFacts(name="c", nodes=nodes),
        configs={FAR: CONFIG},
        holders={FAR: holders},
    )
    assert isinstance(found, Plan)
    return found


def test_a_model_at_a_server_needs_no_memory_and_runs_where_the_server_is_asked_from() -> None:
    found = plan_of(SMALL, *OTHERS)
    assert found.fits
    document: Any = plan_document(found)
    for model in document["models"][1:]:
        assert (model["on_nodes"], model["endpoint"], model["bytes"]) == (["small"], URL, 0)
        assert (model["strategy"], model["group"]) == ("single_machine", None)
    assert document["models"][0]["endpoint"] is None


def test_it_is_never_split_over_machines_however_many_may_ask() -> None:
    found = plan_of(SMALL, *OTHERS, holders=("small", "a", "b", "c"))
    assert found.models[1].strategy == "independent_batches"
    assert sorted(found.models[1].on_nodes) == ["a", "b", "c", "small"]


def test_its_measured_speed_and_concurrency_are_the_plans() -> None:
    far = ServerMeasurement(model=FAR, examples_per_s=12.5, concurrency=16)
    found = plan_of(replace(SMALL, servers=(far,), duty_fraction=0.5))
    (node,) = found.models[1].nodes
    assert (node.examples_per_s, node.batch_size) == (12.5, 16)
    assert any(
        f"Engine {URL}, asked from small: measured 12.5 examples/s at concurrency 16" in one for one in found.reasons
    )
    assert any("unverified" in one for one in found.warnings)


def test_a_servers_speed_says_nothing_of_the_nodes_own() -> None:
    far = ServerMeasurement(model=FAR, examples_per_s=1e6, concurrency=16)
    own, with_server = plan_of(SMALL), plan_of(replace(SMALL, servers=(far,)))
    assert own.models[0] == with_server.models[0]


@pytest.mark.parametrize("until", [None, "score_pairs"])
def test_a_target_at_a_server_is_refused_before_anything_begins(until: str | None) -> None:
    found = plan_of(SMALL, target=FAR, until=until)
    assert "--target" in found.cannot_train
    assert found.training is None


def test_a_server_that_nobody_can_ask_fits_nowhere_and_says_so() -> None:
    found = plan_of(SMALL, holders=())
    assert not found.fits
    assert any(URL in reason for reason in found.reasons)
