"""Summary and card: what the documents say, with nothing in them that was not given."""

from __future__ import annotations

from typing import Any

import pytest

from realign_daemon.curation.card import CardModel, CardSource, data_set_card
from realign_daemon.curation.summary import Energy, NodeWork, Output, Performance, duration, summary_document
from realign_planner.gates import Tier, Verdict

PERFORMANCE = Performance(
    machines=("M4 Max", "M3 Ultra"),
    batch_size=32,
    distribution="independent_batches",
    examples_processed=15_000,
    running_s=3_900.0,
    node_s=7_800.0,
    nodes=(NodeWork(name="M4 Max", units=9_000, examples=8_990, examples_per_s=3.86),),
)


def verdict(metric: str, tier: Tier, value: float | None, *, remedy: str = "") -> Verdict:
    return Verdict(
        stage="s", metric=metric, tier=tier, value=value, low=None, high=None, n=120, undecided=False, remedy=remedy
    )


GATES = (verdict("preference_gap", "HIGH", 0.22), verdict("agreement_rate", "HIGH", 0.92))


def document(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "data_type": "dpo",
        "skill": "realign-dpo-workflow",
        "stages_completed": 7,
        "verdicts": GATES,
        "overrides": {},
        "reports": {},
        "performance": PERFORMANCE,
        "output": Output(path="/out/train.jsonl", examples=4_000, held_out=900),
        "usd_per_node_hour": 0.5,
        "predicted": {"makespan_s": 3_000.0, "examples_per_s": 4.0},
        "pilot": {"took_s": 20.0, "eta_s": 3_480.0},
        "coverage": [],
        "self_test": {"planted": 1, "detected": 1},
        "provenance": {"seed": 7},
        "energy": None,
    }
    return summary_document(**(given | changes))


def test_the_parts_of_the_execution_summary_stand_first_and_in_order() -> None:
    found = document()
    assert list(found)[:5] == ["workflow", "performance", "quality", "output", "cost"]
    assert found["workflow"] == {
        "data_type": "DPO",
        "skill_used": "realign-dpo-workflow",
        "stages_completed": 7,
        "quality_tier": "HIGH",
        "recommendations": [],
    }
    assert found["performance"] == {
        "machine": "M4 Max + M3 Ultra",
        "batch_size": 32,
        "distribution": "independent_batches",
        "examples_processed": 15_000,
        "throughput": "3.85 ex/s",
    }
    assert found["quality"] == {"preference_gap": 0.22, "agreement_rate": 0.92, "tier": "HIGH"}
    assert found["output"]["path"] == "/out/train.jsonl"
    assert found["cost"]["compute_time"] == "1h 5m"


def test_the_cost_of_an_example_is_node_hours_times_price_over_examples() -> None:
    assert document()["cost"]["cost_per_example"] == f"${7_800 / 3_600 * 0.5 / 4_000:.4f}" == "$0.0003"


@pytest.mark.parametrize(
    ("changes", "basis"),
    [
        ({"usd_per_node_hour": None}, "usd_per_node_hour"),
        ({"output": Output(path="/o", examples=0, held_out=0)}, "no example"),
    ],
)
def test_a_cost_that_is_not_known_is_null_and_says_why(changes: dict[str, Any], basis: str) -> None:
    cost = document(**changes)["cost"]
    assert cost["cost_per_example"] is None
    assert basis in cost["basis"]


def test_a_tiny_cost_is_not_rounded_to_nothing() -> None:
    assert document(usd_per_node_hour=0.01)["cost"]["cost_per_example"] == "$5.4e-06"


def test_the_plan_stands_beside_what_happened_with_the_relative_error() -> None:
    plan = document()["plan"]
    assert plan["predicted"] == {"makespan_s": 3_000.0, "examples_per_s": 4.0}
    assert plan["actual"] == {"makespan_s": 3_900.0, "examples_per_s": 15_000 / 3_900}
    assert plan["error"]["makespan_s_fraction"] == pytest.approx(0.3)
    assert plan["predicted_by_pilot"] == {"makespan_s": 3_500.0}


def test_without_a_prediction_there_is_no_error() -> None:
    plan = document(predicted=None)["plan"]
    assert plan["predicted"] is None
    assert set(plan["error"].values()) == {None}


def test_the_tier_is_the_worst_gates_and_its_remedies_are_recommended_once() -> None:
    poor = verdict("pair_yield", "MEDIUM", 0.1, remedy="raise the temperatures")
    few = verdict("win_rate", "INSUFFICIENT", None, remedy="raise the temperatures")
    found = document(verdicts=(*GATES, poor, few))
    assert found["workflow"]["quality_tier"] == found["quality"]["tier"] == "MEDIUM"
    assert found["workflow"]["recommendations"] == ["raise the temperatures"]


def test_an_override_shows_its_reason_and_leaves_the_tier() -> None:
    found = document(verdicts=(verdict("preference_gap", "REJECT", 0.02),), overrides={"preference_gap": "a trial"})
    assert found["workflow"]["quality_tier"] == "REJECT"
    assert found["gates"][0]["overridden_because"] == "a trial"


def test_gates_and_nodes_have_the_shape_that_show_prints() -> None:
    found = document()
    assert list(found["gates"][0]) == [
        "stage",
        "metric",
        "tier",
        "value",
        "low",
        "high",
        "n",
        "undecided",
        "remedy",
    ]
    assert found["nodes"] == [{"name": "M4 Max", "units": 9_000, "examples": 8_990, "examples_per_s": 3.86}]


def test_warnings_are_listed() -> None:
    assert document()["warnings"] == []
    assert document(warnings=["b.pdf is damaged"])["warnings"] == ["b.pdf is damaged"]


def test_energy_is_null_unless_measured() -> None:
    assert document()["energy"] is None
    assert document(energy=Energy(joules=9.5, basis="powermetrics"))["energy"] == {
        "joules": 9.5,
        "basis": "powermetrics",
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (44.6, "45s"), (60, "1m"), (200, "3m 20s"), (3_599.6, "1h"), (3_900, "1h 5m"), (183_600, "2d 3h")],
)
def test_durations_have_at_most_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def card(**changes: Any) -> str:
    given: dict[str, Any] = {
        "name": "dpo_book_20261123",
        "data_type": "dpo",
        "request": "Curate DPO pairs",
        "version": "0.1.0",
        "train_rows": 40,
        "valid_rows": 9,
        "sources": [CardSource(name="a|b <i>.pdf", sha256="5" * 64)],
        "models": [CardModel(role="target", name="pocket", sha256="6" * 64)],
        "templates": {"pocket.question": "1"},
        "verdicts": GATES,
        "overrides": {},
        "rejected_reasons": ["a tie", "no pair", "a tie"],
        "has_adapter": True,
    }
    return data_set_card(**(given | changes))


def test_the_card_points_loaders_at_the_two_splits() -> None:
    header = " ".join(card().split("---")[1].split())
    assert header.endswith(
        "configs: - config_name: default data_files: - split: train path: train.jsonl"
        " - split: validation path: valid.jsonl"
    )


def test_a_split_without_rows_is_not_announced_to_loaders() -> None:
    assert "valid.jsonl" not in card(valid_rows=0).split("---")[1]


def test_the_card_counts_what_was_left_out_by_reason() -> None:
    text = card()
    assert text.index("| a tie | 2 |") < text.index("| no pair | 1 |")


def test_a_file_name_cannot_break_the_cards_tables() -> None:
    assert "| a\\|b &lt;i>.pdf | " in card()


def test_the_card_names_gates_overrides_and_the_adapter() -> None:
    text = card(overrides={"preference_gap": "a trial"})
    assert "| s | preference_gap | 0.22 |  | 120 | HIGH |" in text
    assert "preference_gap was let pass because: a trial" in text
    assert "## Adapter" in text
    assert "## Adapter" not in card(has_adapter=False)
