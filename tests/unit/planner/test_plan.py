"""Plans: what runs where on clusters of many kinds."""

from __future__ import annotations

from typing import Any, cast

import pytest
from tests.unit.planner.builders import GB, cluster, names, node, plan, rdma

from realign_planner.document import plan_document
from realign_planner.models import UnknownModel
from realign_planner.nodes import Link, ModelOnDisk
from realign_planner.plan import BadRequest, Plan, PlanRequest
from realign_planner.strategy import make_plan
from realign_planner.volume import DEFAULT_COUNT

# --- who works ---


@pytest.mark.parametrize(("speed", "joins"), [(1.0, True), (0.99, False)])
def test_a_node_joins_from_a_quarter_of_the_fastest_speed(speed: float, joins: bool) -> None:
    found = plan("sft Qwen 7B", cluster(node("fast", 50, (7, 4.0)), node("slow", 50, (7, speed))))
    assert names(found) == (["fast", "slow"] if joins else ["fast"])
    assert found.standby == (() if joins else ("slow",))


def test_the_largest_share_comes_first_and_equal_ones_by_name() -> None:
    found = plan("sft Qwen 7B", cluster(node("c", 50, (7, 1.0)), node("b", 50, (7, 2.0)), node("a", 50, (7, 1.0))))
    assert [(planned.name, planned.share) for planned in found.nodes] == [("b", 0.5), ("a", 0.25), ("c", 0.25)]


def test_a_faster_node_that_cannot_hold_the_model_is_left_out() -> None:
    found = plan("sft Qwen 32B", cluster(node("fast", 50, (7, 9.0)), node("large", 100, (7, 0.5))))
    assert (found.strategy, names(found), found.standby) == ("single_machine", ["large"], ())
    assert "It does not fit fast: needs 64.5 GB with the cache of one sequence, 50.0 GB is there." in found.reasons


def test_free_memory_counts_when_it_is_less_than_the_usable_part() -> None:
    busy = node("busy", 100, (7, 9.0), free_bytes=10 * GB)
    assert names(plan("sft Qwen 7B", cluster(busy, node("calm", 20, (7, 1.0))))) == ["calm"]


def test_a_paused_node_gets_nothing_and_the_plan_says_so() -> None:
    found = plan("sft Qwen 7B", cluster(node("a", 50, (7, 9.0), paused=True), node("b", 50, (7, 1.0))))
    assert (names(found), found.standby) == (["b"], ())
    assert "a is paused and left out." in found.warnings


def test_nodes_can_be_named_and_excluded() -> None:
    facts = cluster(*(node(name, 50, (7, 1.0)) for name in "abc"))
    assert names(plan("sft Qwen 7B", facts, nodes=("a", "b"))) == ["a", "b"]
    assert names(plan("sft Qwen 7B", facts, exclude_nodes=("a",))) == ["b", "c"]


def test_a_node_that_may_work_a_fifth_of_the_time_does_not_join() -> None:
    found = plan("sft Qwen 7B", cluster(node("a", 50, (7, 1.0)), node("b", 50, (7, 1.0), duty_fraction=0.2)))
    assert names(found) == ["a"]


def test_a_batch_is_never_above_the_peak_nor_above_what_memory_holds() -> None:
    roomy, tight = node("roomy", 100, (7, 1.0), peak_batch_size=12), node("tight", 17, (7, 1.0), peak_batch_size=12)
    batches = {planned.name: planned.batch_size for planned in plan("sft Llama 8B", cluster(roomy, tight)).nodes}
    assert batches == {"roomy": 12, "tight": 3}


def test_an_unmeasured_peak_is_the_chips_where_it_is_known_and_cautious_elsewhere() -> None:
    facts = cluster(node("a", 90, gflops=9e3, chip="Apple M3 Ultra"), node("b", 90, gflops=9e3, chip="Apple M9"))
    assert [planned.batch_size for planned in plan("sft Qwen 7B", facts).nodes] == [4, 8]


def test_a_peak_that_nobody_measured_is_called_assumed() -> None:
    reasons = plan("sft Qwen 7B", cluster(node("a", 90, (7, 1.0), peak_batch_size=12))).reasons
    assert "a decodes 12 sequences together: its peak." in reasons
    reasons = plan("sft Qwen 7B", cluster(node("a", 90, (7, 1.0)))).reasons
    assert "a decodes 8 sequences together: its peak, assumed until measured." in reasons


# --- sharding ---


def test_two_nodes_never_shard_a_model_that_fits_one() -> None:
    facts = cluster(node("a", 50, (7, 1.0)), node("b", 10, (7, 9.0)), links=(rdma("a", "b"),))
    found = plan("sft Qwen 7B", facts)
    assert (found.strategy, names(found)) == ("single_machine", ["a"])
    assert any(other.strategy == "sharded" for other in found.alternatives)


def test_three_nodes_shard_a_model_that_fits_one_only_for_twice_the_speed() -> None:
    large = node("large", 200, (70, 0.02))
    pair = tuple(node(name, 80, (70, 0.5), peak_batch_size=32) for name in "ab")
    facts = cluster(large, *pair, links=(rdma("a", "b"),))
    found = plan("sft Llama 70B", facts)
    assert (found.strategy, names(found), found.backend) == ("sharded", ["a", "b"], "jaccl")
    assert found.standby == ("large",)
    quick = cluster(node("large", 200, (70, 0.5)), *pair, links=(rdma("a", "b"),))
    assert plan("sft Llama 70B", quick).strategy == "single_machine"


def test_the_smallest_group_that_holds_a_model_is_taken() -> None:
    facts = cluster(*(node(name, 100, (70, 1.0)) for name in "abcd"))
    found = plan("sft Llama 70B", facts)
    assert (found.strategy, names(found), found.parallelism) == ("sharded", ["a", "b"], "tensor")
    assert found.standby == ("c", "d")


def test_unequal_memory_becomes_pipeline_stages_in_ratio() -> None:
    found = plan("sft Qwen 72B", cluster(node("a", 60, (7, 1.0)), node("b", 120, (7, 0.5))))
    assert (found.parallelism, names(found)) == ("pipeline", ["a", "b"])
    assert [planned.share for planned in found.nodes] == [
        pytest.approx(1 / 3, abs=1 / 80),
        pytest.approx(2 / 3, abs=1 / 80),
    ]


def test_a_model_without_pipeline_stages_is_refused_on_unequal_nodes_with_the_reason() -> None:
    found = plan("sft Llama 70B", cluster(node("a", 60, (7, 1.0)), node("b", 120, (7, 0.5))))
    assert not found.fits
    assert any("does not fit a, and Llama 70B cannot run as pipeline stages" in reason for reason in found.reasons)


def test_heads_that_do_not_divide_rule_out_tensor_parallelism() -> None:
    nodes = tuple(node(name, 52, (7, 1.0)) for name in "abc")
    assert plan("sft Qwen 72B", cluster(*nodes)).parallelism == "pipeline"
    refused = plan("sft Llama 70B", cluster(*nodes))
    assert any("64 attention heads do not divide by 3" in reason for reason in refused.reasons)


@pytest.mark.parametrize(
    ("links", "backend"),
    [
        ((), "ring"),
        ((rdma("a", "b"),), "jaccl"),
        ((Link(between=("a", "b"), kind="ethernet", latency_s=1e-4, bytes_per_s=1e9),), "ring"),
    ],
)
def test_the_backend_is_jaccl_only_over_rdma(links: tuple[Link, ...], backend: str) -> None:
    facts = cluster(node("a", 100, (7, 1.0)), node("b", 100, (7, 1.0)), links=links)
    assert plan("sft Llama 70B", facts).backend == backend


def test_three_nodes_need_a_cable_between_every_pair_for_jaccl() -> None:
    nodes = tuple(node(name, 60, (7, 1.0)) for name in "abc")
    two = (rdma("a", "b"), rdma("b", "c"))
    assert plan("sft Qwen 72B", cluster(*nodes, links=two)).backend == "ring"
    assert plan("sft Qwen 72B", cluster(*nodes, links=(*two, rdma("a", "c")))).backend == "jaccl"


def test_a_split_target_is_warned_about_where_training_follows() -> None:
    facts = cluster(node("a", 100, (7, 1.0)), node("b", 100, (7, 1.0)))
    whole, data_only = plan("sft Llama 70B", facts), plan("sft Llama 70B", facts, until="quality_filter")
    assert any("cannot be trained" in warning for warning in whole.warnings)
    assert not any("cannot be trained" in warning for warning in data_only.warnings)


@pytest.mark.parametrize(
    ("request_text", "until", "end"),
    [
        ("sft Llama 70B", None, ", or end before the training with --until format_conversion."),
        ("dpo Llama 70B", "score_pairs", "so that the target fits one node."),
    ],
)
def test_a_split_target_is_told_to_end_early_only_where_stages_come_before_training(
    request_text: str, until: str | None, end: str
) -> None:
    facts = cluster(node("a", 100, (7, 1.0)), node("b", 100, (7, 1.0)))
    (warning,) = (found for found in plan(request_text, facts, until=until).warnings if "cannot be trained" in found)
    assert warning.endswith(end)


# --- nothing fits ---


def test_what_does_not_fit_says_what_it_needs_and_the_bits_at_which_it_would() -> None:
    document: dict[str, Any] = plan_document(plan("sft Llama 70B", cluster(node("a", 90, (7, 1.0)))))
    assert (document["strategy"], document["fits"], document["nodes"], document["predicted"]) == (None, False, [], None)
    assert document["needs"] == {"bytes": 140_671_088_640}
    assert document["nearest"] == {
        "kind": "quantisation",
        "bits": 8,
        "bytes": 75_046_088_640,
        "strategy": "single_machine",
        "nodes": ["a"],
        "text": "At 8 bits it needs 75.0 GB and would run on a: "
        "name a conversion of it to 8 bits, or look at its plan with --bits 8.",
    }


def test_what_fits_at_no_bits_says_how_much_memory_would_do() -> None:
    found = plan("sft Llama 405B", cluster(node("a", 90, (7, 1.0))))
    assert found.nearest is not None
    assert (found.nearest.kind, found.nearest.bytes) == ("memory", found.needs_bytes)
    assert "At 4 bits 228.9 GB would do" in found.nearest.text


def test_a_judge_that_fits_nowhere_makes_the_plan_not_fit() -> None:
    found = plan("sft", cluster(node("a", 20, (7, 1.0))), target="Qwen 7B", judge="Qwen 72B")
    assert not found.fits
    assert found.needs_bytes is not None
    assert found.needs_bytes > 144 * GB
    assert any("The judge Qwen 72B" in reason for reason in found.reasons)


def test_a_cluster_with_every_node_paused_fits_nothing() -> None:
    assert not plan("sft Qwen 7B", cluster(node("a", 90, (7, 1.0), paused=True))).fits


# --- models and roles ---


def test_no_model_named_means_the_default_and_says_so() -> None:
    found = plan("sft from book.pdf", cluster(node("a", 50, (7, 1.0))))
    assert (found.model_name, found.models[0].repo, found.bits) == ("Qwen2.5 7B", "Qwen/Qwen2.5-7B-Instruct", 16)
    assert any("the default: the request names no model" in reason for reason in found.reasons)


def test_each_role_has_its_own_model_and_nodes() -> None:
    facts = cluster(node("small", 20, (7, 2.0)), node("large", 200, (7, 1.0)))
    found = plan("dpo pairs for Llama 8B, judged by Qwen 72B", facts)
    assert {(model.role, model.name, model.on_nodes) for model in found.models} == {
        ("target", "Llama 8B", ("small", "large")),
        ("generator", "Llama 8B", ("small", "large")),
        ("judge", "Qwen 72B", ("large",)),
    }


def test_an_option_wins_over_the_text() -> None:
    found = plan("dpo pairs for Llama 8B", cluster(node("a", 50, (7, 1.0))), model="Qwen 7B", data_type="sft")
    assert (found.model_name, found.data_type, found.confidence) == ("Qwen 7B", "sft", 1.0)


def test_bits_come_from_the_option_then_the_name_then_the_words() -> None:
    facts = cluster(node("a", 500, (7, 1.0)))
    assert plan("sft Qwen 7B in 8 bit", facts).bits == 8
    assert plan("sft in 8 bit", facts, model="Qwen-7B-4bit").bits == 4
    assert plan("sft in 8 bit", facts, model="Qwen-7B-4bit", bits=16).bits == 16


def test_a_folder_is_planned_with_by_its_config() -> None:
    config: dict[str, object] = {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "torch_dtype": "bfloat16",
    }
    request = PlanRequest(text="sft", model="/models/ours")
    found = make_plan(request, cluster(node("a", 50, (7, 1.0))), configs={"/models/ours": config})
    assert isinstance(found, Plan)
    assert found.params_b == pytest.approx(8.03, abs=0.01)


def test_a_model_that_a_node_lacks_is_warned_about() -> None:
    disk = (ModelOnDisk(name="Qwen/Qwen2.5-7B-Instruct"),)
    facts = cluster(node("has", 50, (7, 1.0), on_disk=disk), node("lacks", 50, (7, 1.0), on_disk=()))
    warnings = plan("sft Qwen 7B", facts, count=1).warnings
    assert warnings == ("lacks does not have Qwen 7B: 14.0 GB would have to be fetched first.",)


# --- requests that cannot be planned ---


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (PlanRequest(text="sft", count=0), "--count 1 or more"),
        (PlanRequest(text="sft", nodes=("b",)), "no node 'b' in this cluster; its nodes are a"),
        (PlanRequest(text="sft", exclude_nodes=("a",)), "leave no node"),
        (PlanRequest(text="sft", until="train_dpo"), "The SFT workflow has no stage 'train_dpo'"),
    ],
)
def test_a_request_that_no_cluster_could_answer_says_what_to_change(request_: PlanRequest, says: str) -> None:
    found = make_plan(request_, cluster(node("a", 50)))
    assert isinstance(found, BadRequest)
    assert says in found.message


def test_an_unknown_model_is_named() -> None:
    found = make_plan(PlanRequest(text="sft", judge="mystery"), cluster(node("a", 50)))
    assert isinstance(found, UnknownModel)
    assert found.name == "mystery"


# --- estimates ---


def test_every_generation_and_judgement_of_dpo_is_counted() -> None:
    found = plan("dpo Qwen 7B", cluster(node("a", 50, (7, 2.0))), passages=1000)  # of which 900 give a prompt
    assert found.predicted is not None
    units = {stage.stage: stage.units for stage in found.predicted.stages}
    assert (units["generate_responses"], units["score_pairs"], units["validate_gaps"]) == (3600, 5400, 1260)
    scoring = next(stage for stage in found.predicted.stages if stage.stage == "score_pairs")
    assert (scoring.expected_s, scoring.basis) == (2700.0, "measured")
    assert scoring.low_s < scoring.expected_s < scoring.high_s


def test_every_judge_takes_its_own_time() -> None:
    facts = cluster(node("a", 50, (7, 2.0), (14, 1.0)))
    one = plan("dpo", facts, model="Qwen 7B", passages=1000)
    two = plan("dpo", facts, model="Qwen 7B", judges=("Qwen 14B",), passages=1000)
    assert one.predicted is not None
    assert two.predicted is not None
    predictions = (one.predicted, two.predicted)
    seconds = [{stage.stage: stage.expected_s for stage in found.stages} for found in predictions]
    assert seconds[1]["score_pairs"] == pytest.approx(seconds[0]["score_pairs"] + 5400 / 1.0)
    assert seconds[1]["generate_responses"] == seconds[0]["generate_responses"]
    units = {stage.stage: stage.units for stage in two.predicted.stages}
    assert (units["generate_responses"], units["score_pairs"], units["validate_gaps"]) == (3600, 10_800, 2520)
    assert [(judge.role, judge.name, judge.on_nodes) for judge in two.judges] == [("judge", "Qwen 14B", ("a",))]
    assert [model["role"] for model in cast("Any", plan_document(two)["models"])] == [
        *("target", "generator", "judge", "judge")
    ]


def test_a_judge_that_is_named_twice_is_asked_once() -> None:
    facts = cluster(node("a", 50, (7, 2.0)))
    once = plan("dpo Qwen 7B", facts, judge="Qwen 7B", count=100)
    assert plan("dpo Qwen 7B", facts, judge="Qwen 7B", judges=("Qwen 7B",), count=100) == once


def test_a_judge_that_fits_nowhere_makes_a_plan_that_does_not_fit() -> None:
    found = plan("dpo Qwen 7B", cluster(node("a", 50, (7, 2.0))), judges=("Qwen 72B",))
    assert (found.fits, found.predicted) == (False, None)
    assert any("judge Qwen 72B" in reason for reason in found.reasons)


def test_a_job_ends_early_when_told_to() -> None:
    found = plan("dpo Qwen 7B", cluster(node("a", 50, (7, 2.0))), until="validate_gaps")
    assert found.predicted is not None
    assert [stage.stage for stage in found.predicted.stages][-1] == "validate_gaps"
    assert found.predicted.makespan_s == sum(stage.expected_s for stage in found.predicted.stages)


def test_training_counts_one_node_even_where_several_share_the_rest() -> None:
    one = plan("dpo Qwen 7B", cluster(node("a", 50, (7, 2.0))), passages=1000)
    two = plan("dpo Qwen 7B", cluster(node("a", 50, (7, 2.0)), node("b", 50, (7, 2.0))), passages=1000)
    assert one.predicted is not None
    assert two.predicted is not None
    seconds = {
        (which, stage.stage): stage.expected_s
        for which, found in (("one", one.predicted), ("two", two.predicted))
        for stage in found.stages
    }
    assert seconds["two", "score_pairs"] == seconds["one", "score_pairs"] / 2
    # All but the training halves: 315 held-out prompts are answered before and after, and each answer is judged.
    assert seconds["one", "train_dpo"] - seconds["two", "train_dpo"] == 4 * 315 / 2.0 / 2


def test_speeds_that_nobody_measured_are_called_a_prior() -> None:
    found = plan("sft Qwen 7B", cluster(node("a", 50, gflops=5e3)))
    assert found.predicted is not None
    assert {stage.basis for stage in found.predicted.stages if stage.units} == {"prior"}
    assert any("not measured" in warning for warning in found.warnings)


def test_the_count_comes_from_the_option_then_the_words_then_a_stated_default() -> None:
    facts = cluster(node("a", 50, (7, 1.0)))
    assert plan("500 sft examples", facts, count=7).count == 7
    assert plan("500 sft examples", facts).count == 500
    unstated = plan("sft examples", facts)
    assert unstated.count == DEFAULT_COUNT
    assert "No count was given: the estimate is for 1,000 rows." in unstated.warnings


def test_an_ambiguous_request_is_planned_as_sft_with_a_warning() -> None:
    found = plan("make data from book.pdf", cluster(node("a", 50, (7, 1.0))))
    assert (found.data_type, found.ambiguous) == ("sft", True)
    assert any("SFT is assumed" in warning for warning in found.warnings)
