"""Training: whether one node trains the target alone, or a group of nodes that average their gradients.

Nobody has measured how fast a node trains, so its speed is the prior that estimates use. A group has to promise a clear
gain over links that are known, as its ranks wait for each other at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import sqrt
from typing import Final, get_args

from realign_planner.estimate import unit_cost
from realign_planner.models import ModelFacts
from realign_planner.nodes import ClusterFacts, NodeFacts
from realign_planner.placement import LARGEST_GROUP
from realign_planner.plan import Backend, PlannedTraining
from realign_planner.setbacks import NO_BARS, Bars
from realign_planner.speed import SYNC_S, node_speed, worst_link
from realign_planner.stage import Stage
from realign_planner.volume import Volume

LEAST_ALONE_S: Final = 60.0  # a group takes some 20 s to form, and every rank loads the model: less is not worth that
LEAST_GAIN: Final = 1.3  # below, an error of the prediction eats the gain (own choice)
BATCH_ROWS: Final = 8  # of a step, which the ranks share out: what the standard templates train with
LORA_RANK: Final = 8  # what they train
GRADIENT_BYTES: Final = 4  # float32
# Widths of all seven projections of a layer, in and out, in model widths: 2 for each of four of attention, which a
# narrower key and value make fewer, and 5 for each of three of an MLP of four times the width.
WIDTHS_PER_LAYER: Final = 4 * 2 + 3 * 5
PARAMETERS_PER_LAYER: Final = 12  # in model widths squared, of a plain transformer: 4 of attention, 8 of the MLP


def gradient_bytes(model: ModelFacts) -> int:
    """Bytes of the gradients of a LoRA adapter on every projection, by the width that a dense model would have."""
    width = sqrt(model.active_params_b * 1e9 / (PARAMETERS_PER_LAYER * model.layers))
    return round(LORA_RANK * WIDTHS_PER_LAYER * width * model.layers * GRADIENT_BYTES)


def plan_training(
    stages: Sequence[Stage],
    volume: Volume,
    *,
    model: ModelFacts,
    holders: Sequence[NodeFacts],
    cluster: ClusterFacts,
    bars: Bars = NO_BARS,
) -> PlannedTraining | None:
    """How the model is trained on nodes that hold all of it; None where nothing is trained, or no node does.

    One node alone, the fastest, unless the longest training takes LEAST_ALONE_S there and a group of it and the next
    fastest promises LEAST_GAIN. Ties by name; the fewest nodes among equal groups.
    """
    units = {stage.name: sum(one.units(volume) for one in stage.operations if one.kind == "train") for stage in stages}
    stage = max(units, key=lambda name: units[name], default="")
    if not holders or not units.get(stage):
        return None
    cost = unit_cost("train", model.templates)
    paces = {node.name: node_speed(model, node, cluster.nodes).examples_per_s / cost for node in holders}
    ordered = sorted(paces, key=lambda name: (-paces[name], name))
    alone_s = units[stage] / paces[ordered[0]]
    group_s: dict[tuple[str, ...], float] = {}
    ways: dict[tuple[str, ...], Backend] = {}
    for size in range(2, min(len(ordered), LARGEST_GROUP) + 1):
        members = tuple(ordered[:size])
        way = _way(members, cluster, bars)
        if way is not None:
            ways[members] = way
            step_s = BATCH_ROWS / (size * paces[members[-1]]) + _reduce_s(model, members, way, cluster)
            group_s[members] = units[stage] / BATCH_ROWS * step_s
    best = min(group_s, key=lambda members: (group_s[members], len(members)), default=None)
    best_s = None if best is None else group_s[best]
    is_shared = best_s is not None and alone_s >= max(LEAST_ALONE_S, LEAST_GAIN * best_s)
    chosen = best if best is not None and is_shared else (ordered[0],)
    return PlannedTraining(
        stage=stage,
        nodes=chosen,
        backend=ways[chosen] if is_shared else None,
        examples_per_s=cost * units[stage] / group_s.get(chosen, alone_s),
        alone_s=alone_s,
        group_s=best_s,
        gradient_bytes=gradient_bytes(model),
        because=_because(alone_s, best_s),
    )


def _way(members: Sequence[str], cluster: ClusterFacts, bars: Bars) -> Backend | None:
    """What they would use, of what was measured on every link: a guess is no ground for a group that nobody needs."""
    for way in get_args(Backend):
        links = [cluster.link(one, other, way) for one, other in combinations(members, 2)]
        is_measured = all(link is not None and link.basis == "measured" for link in links)
        if is_measured and cluster.may_group and bars.allows(members, way):
            return way
    return None


def _reduce_s(model: ModelFacts, members: Sequence[str], way: Backend, cluster: ClusterFacts) -> float:
    """Seconds of the all-reduce after a step: over N ranks it passes 2(N-1)/N of the bytes over every link."""
    latency_s, bytes_per_s, _ = worst_link(members, way, cluster)
    turns = 2 * (len(members) - 1)
    return turns * (latency_s + gradient_bytes(model) / len(members) / bytes_per_s) + SYNC_S


def _because(alone_s: float, group_s: float | None) -> str:
    if group_s is None:
        return "no other node that holds all of the model can join it, over a link that is known"
    if alone_s < LEAST_ALONE_S:
        return f"it takes less than {LEAST_ALONE_S:.0f} s, and a group costs some of that to form"
    sentence = f"a group is predicted {alone_s / group_s:.2f} times as fast"
    return sentence if alone_s >= LEAST_GAIN * group_s else f"{sentence}, and must promise {LEAST_GAIN:g} times"
