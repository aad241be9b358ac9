"""The batch size: as many sequences as a node decodes best at, and never more than it can hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from realign_planner.fit import GroupFit, sequences_in
from realign_planner.models import ModelFacts
from realign_planner.nodes import NodeFacts

UNMEASURED_PEAK: Final = 8  # of a node whose peak nobody measured: most of the gain of batching, little of the risk
CHIP_PEAKS: Final = {"M4 Max": 32, "M3 Ultra": 4}  # seed table, 2026-01-28; stands until the node itself is measured


def peak(node: NodeFacts) -> int:
    """The batch size that a node decodes best at: measured, else its chip's, else a cautious one."""
    by_chip = next((size for chip, size in CHIP_PEAKS.items() if chip in node.chip), UNMEASURED_PEAK)
    return node.peak_batch_size or by_chip


def batch_size(model: ModelFacts, node: NodeFacts) -> int:
    """Sequences to decode together on a node that the model fits, or requests to have in flight; at least 1."""
    if model.endpoint:
        known = node.server(model.name)
        return known.concurrency if known else UNMEASURED_PEAK
    return max(1, min(peak(node), sequences_in(model, node)))


def group_batch_size(group: GroupFit, members: Sequence[NodeFacts]) -> int:
    """Sequences that a sharded group decodes together: every member sees the same batch, so the lowest peak counts."""
    return max(1, min(group.sequences, *map(peak, members)))
