"""A model that fits no node alone: who holds it together, and what becomes of the job when they are lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.curation.test_roster import World, colleague

from realign_daemon.cluster.facts import Cable, MeasuredLink, NodeId
from realign_daemon.curation import intake
from realign_daemon.curation.colleague import Colleague, cluster_facts
from realign_daemon.curation.roster import NO_REFERENCE
from realign_daemon.engine.api import ModelId, ModelShape
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.errors import NothingFits
from realign_daemon.testing.scripted_desk import PIN
from realign_daemon.work.dispatcher import Crew
from realign_daemon.work.messages import GroupLoss
from realign_planner.nodes import Link
from realign_planner.setbacks import LAST_RESORT_RESTS_S

SHAPE = ModelShape(layers=6, heads=6, kv_heads=6, kv_values=192, tensor=True, pipeline=True)
JUDGE = ModelId("j")
NO_TRAINING: dict[str, Any] = {"data_type": "sft", "until": "quality_filter"}


def small(name: str, *others: str, usable_gb: float = 0.0055) -> Colleague:
    """A node that holds half of the pocket model, which needs 6.7 MB with its cache, and has cables to the others."""
    one = colleague(name, usable_gb=usable_gb)
    return replace(
        one,
        holdings=tuple(replace(held, shape=SHAPE) for held in one.holdings),
        rdma=tuple(
            Cable(device=f"rdma_{other}", domain=f"{name}-{other}", peer_domain=f"{other}-{name}") for other in others
        ),
    )


ONE, TWO, THREE = small("a", "b", "c"), small("b", "a", "c"), small("c", "a", "b")


def crew_of(world: World) -> list[Crew]:
    return list(world.roster.living(PIN.model))


def wish_of(world: World) -> GroupWish:
    (head,) = crew_of(world)
    assert head.group is not None
    assert head.node == head.group.nodes[0]
    return head.group


def lose(
    world: World,
    *failed: str,
    cause: str = "no beat of it came for 4 s",
    thrown_away: int = 0,
    worked: bool = False,
) -> GroupWish:
    wish = wish_of(world)
    loss = GroupLoss(wish=wish, group="g", lost=failed, cause=cause, thrown_away=thrown_away, worked=worked)
    world.roster.group_lost(loss)
    return wish


def test_a_model_that_fits_no_node_goes_to_the_head_of_a_group_with_the_groups_plan() -> None:
    world = World(ONE, TWO, **NO_TRAINING)
    assert wish_of(world) == GroupWish(nodes=("id-a", "id-b"), backend="jaccl", parallelism="tensor")
    assert world.job.record.plan is not None
    assert world.job.record.plan["group"]["backend"] == "jaccl"


def test_unequal_nodes_hold_whole_layers_and_the_head_the_last_ones() -> None:
    world = World(small("a", usable_gb=0.003), small("b"), **NO_TRAINING)
    wish = wish_of(world)
    assert (wish.backend, wish.parallelism, wish.split) == ("ring", "pipeline", (2, 4))


def test_a_lost_group_is_formed_again_over_the_ring_then_without_the_node_that_failed() -> None:
    world = World(ONE, TWO, THREE, **NO_TRAINING)
    first = lose(world, "id-b")
    second = lose(world, "id-b")
    third = wish_of(world)
    assert (first.nodes, first.backend) == (("id-a", "id-b"), "jaccl")
    assert (second.nodes, second.backend) == (("id-a", "id-b"), "ring")
    assert (third.nodes, third.backend) == (("id-a", "id-c"), "jaccl")
    assert [kind for kind, _ in world.told] == ["replanned", "replanned"]
    assert world.told[0][1].startswith("a group was lost: no beat of it came for 4 s; planned again: ")


def test_where_nothing_is_left_the_job_waits_names_what_would_fit_and_tries_again_after_a_rest() -> None:
    world = World(ONE, TWO, **NO_TRAINING)
    ways = [lose(world, "id-b").backend for _ in range(4)]
    assert ways == ["jaccl", "ring", "jaccl", "ring"]
    assert crew_of(world) == []
    (warning,) = [text for kind, text in world.told if kind == "warning"]
    assert "no living node can go on" in warning
    assert "name a conversion of it" in warning

    world.clock.advance(LAST_RESORT_RESTS_S[1] - 1)
    assert crew_of(world) == []
    world.clock.advance(1)
    assert wish_of(world).nodes == ("id-a", "id-b")


def test_the_only_group_that_holds_a_model_is_formed_again_at_once_as_long_as_it_gets_on() -> None:
    world = World(small("a"), small("b"), **NO_TRAINING)
    for _ in range(5):
        assert lose(world, "id-b", worked=True).nodes == ("id-a", "id-b")
    lose(world, "id-b")
    assert crew_of(world) == []
    world.clock.advance(LAST_RESORT_RESTS_S[1])
    assert wish_of(world).nodes == ("id-a", "id-b")


def test_results_that_a_canary_threw_away_are_told_in_the_record() -> None:
    world = World(ONE, TWO, **NO_TRAINING)
    lose(world, "id-b", cause="canary: b differs from the reference by 0.4", thrown_away=37)
    assert world.job.record.warnings == [
        "37 results of a group were thrown away and computed again: canary: b differs from the reference by 0.4"
    ]


def test_a_group_that_no_node_alone_could_vouch_for_is_told_once_in_the_record() -> None:
    world = World(ONE, TWO, **NO_TRAINING)
    assert wish_of(world).nodes[0] == "id-a"
    assert world.job.record.warnings == []
    world.neighbourhood.present = (replace(ONE, unvouched="another model"), TWO)
    wish_of(world)
    assert world.job.record.warnings == []
    world.neighbourhood.present = (replace(ONE, unvouched=PIN.name), TWO)
    for _ in range(2):
        wish_of(world)
    assert world.job.record.warnings == [NO_REFERENCE.format(PIN.name)]


def test_a_group_whose_member_leaves_is_planned_again_over_those_that_are_there() -> None:
    world = World(ONE, TWO, THREE, **NO_TRAINING)
    assert wish_of(world).nodes == ("id-a", "id-b")
    world.neighbourhood.present = (ONE, THREE)
    assert wish_of(world).nodes == ("id-a", "id-c")


def test_a_group_that_works_goes_on_as_it_is_whoever_comes_and_whatever_memory_is_free() -> None:
    world = World(small("b", usable_gb=0.003), small("c"), **NO_TRAINING)
    before = wish_of(world)
    world.neighbourhood.present = (small("a"), small("b", usable_gb=0.004), small("c"))
    assert wish_of(world) == before
    assert before.split == (2, 4)


def test_a_group_stands_and_runs_as_many_sequences_as_its_nodes_have_memory_for_now() -> None:
    world = World(small("a", usable_gb=0.0065), small("b", usable_gb=0.0065), **NO_TRAINING)
    (before,) = crew_of(world)
    world.neighbourhood.present = (small("a"), small("b"))
    world.roster.plan()
    (now,) = crew_of(world)
    assert (before.batch_size, now.batch_size) == (2, 1)
    assert now.group == before.group
    assert world.job.record.plan is not None
    assert world.job.record.plan["group"]["step"]["batch_size"] == now.batch_size


def test_a_group_that_was_formed_again_as_a_last_resort_goes_on_when_another_node_comes() -> None:
    world = World(small("a"), small("b"), **NO_TRAINING)
    before = lose(world, "id-b", worked=True)
    world.neighbourhood.present = (small("a"), small("b"), small("c"))
    assert wish_of(world) == before
    lose(world, "id-b", worked=True)
    assert wish_of(world).nodes == ("id-a", "id-c")


def test_the_record_names_all_nodes_of_a_group_and_says_that_they_work() -> None:
    world = World(ONE, TWO, **NO_TRAINING)
    wish_of(world)
    wish_of(world)
    nodes = world.job.record.nodes.values()
    assert [(node.name, node.state, node.units) for node in nodes] == [("a", "working", 0), ("b", "working", 0)]


def test_another_model_runs_on_its_own_nodes_beside_a_group() -> None:
    judge = replace(PIN, name="tiny judge 1M", model=JUDGE)
    holding = replace(ONE.holdings[0], name=judge.name, model=JUDGE, shape=None, params_b=0.001)
    third = replace(THREE, holdings=(holding,), facts=replace(THREE.facts, usable_bytes=2**34))
    world = World(ONE, TWO, **NO_TRAINING)
    world.job.spec = replace(world.job.spec, roles=world.job.spec.roles | {"judge": judge})
    world.neighbourhood.present = (ONE, TWO, third)
    world.roster.plan()
    assert wish_of(world).nodes == ("id-a", "id-b")
    assert [(member.node, member.group) for member in world.roster.living(JUDGE)] == [("id-c", None)]


def test_a_target_that_only_a_group_holds_is_trained_by_nobody() -> None:
    world = World(ONE, TWO)
    assert list(world.roster.living(PIN.model, trains=True)) == []
    with pytest.raises(NothingFits, match="needs a node that holds the whole model"):
        intake.prepare_plan(intake.request_of(world.job.spec), (ONE, TWO))


def test_a_long_training_goes_to_a_group_where_links_are_known() -> None:
    fast = MeasuredLink(node=NodeId("id-studio"), latency_s=1e-4, bytes_per_s=1e9)
    home = replace(colleague("home"), links=(fast,))
    world = World(home, colleague("studio"))
    world.job.spec = replace(world.job.spec, passages=100_000)
    world.roster.plan()
    assert all(member.group is None for member in crew_of(world))
    alone = list(world.roster.living(PIN.model, trains=True))
    assert all(member.group is None for member in alone)  # the pocket model trains within a minute


def test_a_link_is_the_worse_of_what_both_ends_measured_and_rdma_needs_both_of_them() -> None:
    one = replace(ONE, links=(MeasuredLink(node=NodeId("id-b"), latency_s=1e-3, bytes_per_s=5e8),))
    two = replace(TWO, links=(MeasuredLink(node=NodeId("id-a"), latency_s=2e-3, bytes_per_s=9e8),), rdma=())
    assert cluster_facts((one, two)).links == (
        Link(between=("a", "b"), kind="network", latency_s=2e-3, bytes_per_s=5e8),
    )
    assert [link.is_rdma for link in cluster_facts((ONE, TWO)).links] == [True]
