"""The planner decisions that must hold, read from data/decisions.toml."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from realign_planner import cluster_file
from realign_planner.document import plan_document
from realign_planner.plan import Plan, PlanRequest
from realign_planner.strategy import make_plan

DATA = Path(__file__).parent / "data"
DECISIONS: list[dict[str, Any]] = tomllib.loads((DATA / "decisions.toml").read_text())["decision"]


def plan_for(decision: dict[str, Any]) -> Plan:
    cluster = cluster_file.parse((DATA / "clusters" / f"{decision['cluster']}.toml").read_text())
    plan = make_plan(PlanRequest(text=decision["request"], bits=decision.get("bits"), count=decision["count"]), cluster)
    assert isinstance(plan, Plan)
    return plan


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda decision: str(decision["why"]))
def test_a_decision_holds(decision: dict[str, Any]) -> None:
    document: dict[str, Any] = plan_document(plan_for(decision))
    nodes: list[dict[str, Any]] = document["nodes"]
    expected: dict[str, Any] = decision["expect"]
    found = {key: document[key] for key in expected if key not in {"nodes", "batches", "shares"}}
    found["nodes"] = [node["name"] for node in nodes]
    if "batches" in expected:
        found["batches"] = [node["batch_size"] for node in nodes]
    if "shares" in expected:
        found["shares"] = [round(node["share"], 3) for node in nodes]
    assert found == expected


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda decision: str(decision["why"]))
def test_a_plan_is_the_same_twice_and_survives_json(decision: dict[str, Any]) -> None:
    first, second = plan_document(plan_for(decision)), plan_document(plan_for(decision))
    assert json.loads(json.dumps(first)) == second
