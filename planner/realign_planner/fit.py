"""Fit: whether a model fits the memory of a node or of a group of nodes, with the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from realign_planner.models import ModelFacts
from realign_planner.nodes import NodeFacts
from realign_planner.plan import Parallelism


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFit:
    """How a model is laid over the members of a sharded group. `shares` of the weights, in the members' order."""

    parallelism: Parallelism
    shares: tuple[float, ...]
    layers: tuple[tuple[int, int], ...]  # of each: the first and the last that it has, or has a part of; from 1
    sequences: int  # that fit with their cache, at least 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """Why a model cannot be laid over a group."""

    reason: str


def fits(model: ModelFacts, node: NodeFacts) -> bool:
    """Whether the node can hold the weights and the cache of one sequence."""
    return model.needed_bytes() <= node.available_bytes


def sequences_in(model: ModelFacts, node: NodeFacts) -> int:
    """Sequences whose cache fits beside the weights; 0 when the model does not fit."""
    return max(0, (node.available_bytes - model.weight_bytes) // max(1, model.kv_bytes()))


def fit_group(model: ModelFacts, members: Sequence[NodeFacts]) -> GroupFit | Misfit:
    """How the members would share the model, or why they cannot.

    Tensor parallelism needs support in the model's code, heads and KV heads that divide, and an equal share that fits
    the smallest member. Pipeline stages are whole layers in ratio to memory. What is not known of a model (its support,
    its heads) is taken to be well.
    """
    size = len(members)
    total = sum(node.available_bytes for node in members)
    if model.needed_bytes() > total:
        return Misfit(reason=f"needs {gigabytes(model.needed_bytes())}, the group has {gigabytes(total)}")
    smallest = min(members, key=lambda node: (node.available_bytes, node.name))
    obstacle = _tensor_obstacle(model, size)
    if not obstacle:
        if model.needed_bytes() <= size * smallest.available_bytes:
            sequences = (size * smallest.available_bytes - model.weight_bytes) // max(1, model.kv_bytes())
            return GroupFit(
                parallelism="tensor",
                shares=(1 / size,) * size,
                layers=((1, model.layers),) * size,
                sequences=sequences,
            )
        obstacle = f"an equal share of {gigabytes(model.needed_bytes() // size)} does not fit {smallest.name}"
    if model.supports_pipeline is False:
        return Misfit(reason=f"{obstacle}, and {model.name} cannot run as pipeline stages")
    layers = _stage_layers(model, members)
    if layers is None:
        return Misfit(reason=f"{obstacle}, and {model.layers} layers do not come out in {size} stages that fit")
    return GroupFit(
        parallelism="pipeline",
        shares=tuple(count / model.layers for count in layers),
        layers=_from_the_end(layers),
        sequences=min(
            (node.available_bytes * model.layers // count - model.weight_bytes) // max(1, model.kv_bytes())
            for node, count in zip(members, layers, strict=True)
        ),
    )


def _stage_layers(model: ModelFacts, members: Sequence[NodeFacts]) -> list[int] | None:
    """Whole layers for each member in ratio to its memory, from one to what it holds; None when that cannot be."""
    total = sum(node.available_bytes for node in members)
    holds = [node.available_bytes * model.layers // model.needed_bytes() for node in members]
    layers = [
        min(held, node.available_bytes * model.layers // total) for held, node in zip(holds, members, strict=True)
    ]
    while sum(layers) < model.layers:
        room = [index for index, held in enumerate(holds) if layers[index] < held]
        if not room:
            return None
        layers[max(room, key=lambda index: (holds[index] - layers[index], -index))] += 1
    return layers if min(layers) > 0 else None


def _from_the_end(layers: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Which layers so many are: the first member has the last ones, as MLX's pipelines have it."""
    ends = list(accumulate(reversed(layers)))
    return tuple((end - count + 1, end) for end, count in zip(reversed(ends), layers, strict=True))


def _tensor_obstacle(model: ModelFacts, size: int) -> str:
    """Why the model cannot be split by heads into `size` equal parts; empty when it can."""
    if model.supports_tensor is False:
        return f"{model.name} has no tensor parallelism"
    for count, title in ((model.heads, "attention heads"), (model.kv_heads, "KV heads")):
        if count is not None and count % size:
            return f"{count} {title} do not divide by {size}"
    return ""


def gigabytes(count: float) -> str:
    """Bytes in decimal gigabytes for people, megabytes when there is less than one."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"  # noqa: PLR2004 - one gigabyte
