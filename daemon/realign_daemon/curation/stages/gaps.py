"""Gaps: stage 4 of DPO. Measures how far apart the pairs are, afresh, and keeps those that are worth training on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Pair
from realign_daemon.curation.metrics.intervals import wilson
from realign_daemon.curation.metrics.preference import (
    UNBIASED_LENGTHS,
    length_bias,
    length_correlation,
    preference_gap,
    preference_yield,
)
from realign_daemon.curation.stages import judging, measures
from realign_daemon.curation.stages.hygiene import clean_rows
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.stages.rows import preference_row, within_count
from realign_planner.thresholds import Tiered, threshold

LOWER_WINS = "compared side by side, the answer with the lower score wins"
BY_LENGTH = "so length may be what is learned"  # in the warning


async def validate_gaps(desk: Desk, material: Material) -> Measures:
    """Judges best and worst again, since the best of several noisy scores is too high by chance, and makes the rows.

    Measures preference_gap: the mean over all pairs before any is dropped for its gap. Reports preference_yield (the
    share of pairs with at least the HIGH gap), repetition_stability (the share whose better answer still is it),
    length_bias (the share whose longer answer was chosen) and length_correlation (of gap and difference in length).
    """
    judging.warn_of_echoes(desk, desk.judges, metric="preference_gap")
    desk.say(f"judging {len(material.pairs)} pairs afresh")
    both = [rated.response for pair in material.pairs for rated in (pair.chosen, pair.rejected)]
    fresh = {
        (rated.response.prompt.id, rated.response.text): rated
        for rated in await judging.rate_responses(desk, both, template=judging.AGAIN)
    }
    judged: list[Pair] = []
    for pair in material.pairs:
        chosen, rejected = (fresh.get((pair.prompt.id, rated.response.text)) for rated in (pair.chosen, pair.rejected))
        if chosen is not None and rejected is not None:
            gap = preference_gap(chosen.quality, rejected.quality)
            judged.append(replace(pair, gap=gap, afresh=(chosen, rejected)))
        else:
            judging.drop_pair(material, "validate_gaps", judging.GIVEN_UP, pair.chosen, pair.rejected)
    material.pairs = judged
    gaps = [pair.gap for pair in judged if pair.gap is not None]
    limits = threshold("preference_gap", desk.spec.gate_settings)
    assert isinstance(limits, Tiered), "the preference gap has tiers"
    good = _keep(material, judged, limits.medium)
    rows = await clean_rows(desk, material, [preference_row(desk, pair) for pair in good])
    material.rows = within_count(desk, material, rows)
    material.show(desk.stage.name, [row.fields for row in material.rows])
    lengths = _lengths(judged)
    return {
        "preference_gap": await measures.mean(desk, "preference_gap", gaps),
        **exact("preference_yield", preference_yield(gaps, limits.high), len(gaps)),
        **exact("repetition_stability", preference_yield(gaps, math.ulp(0.0)), len(gaps)),
        **exact("length_bias", watch_lengths(desk, judged), len(_differing(judged))),
        **exact("length_correlation", length_correlation(gaps, lengths), len(lengths)),
    }


def watch_lengths(desk: Desk, pairs: Sequence[Pair]) -> float | None:
    """The share of pairs whose longer answer was chosen. Warns where that is not about a half, and not by chance."""
    differing = _differing(pairs)
    bias = length_bias(differing)
    if bias is not None and not UNBIASED_LENGTHS[0] <= bias <= UNBIASED_LENGTHS[1]:
        low, high = wilson(round(bias * len(differing)), len(differing))
        if not low <= 0.5 <= high:  # noqa: PLR2004 - one half is no bias
            of = f"the {len(differing)} pairs that differ in length"
            favoured, share = ("longer", bias) if bias > 0.5 else ("shorter", 1 - bias)  # noqa: PLR2004 - as above
            desk.warn(f"the judge chose the {favoured} answer in {share:.0%} of {of}, {BY_LENGTH}")
    return bias


def _lengths(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    return [(len(pair.chosen.response.text), len(pair.rejected.response.text)) for pair in pairs]


def _differing(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    return [(chosen, rejected) for chosen, rejected in _lengths(pairs) if chosen != rejected]


def _keep(material: Material, pairs: Sequence[Pair], least_gap: float) -> list[Pair]:
    """The pairs that there is nothing against; each other one is noted with the reason."""
    kept: list[Pair] = []
    for pair in pairs:
        if reason := why_not(pair, least_gap):
            gap = None if pair.gap is None else round(pair.gap, 4)
            judging.drop_pair(material, "validate_gaps", reason, pair.chosen, pair.rejected, gap=gap)
        else:
            kept.append(pair)
    return kept


def why_not(pair: Pair, least_gap: float) -> str:
    """Why a pair is not worth training on; empty where it is."""
    if not pair.comparison.is_consistent:
        return "the judge names another winner when the order is swapped, or a tie"
    if pair.comparison.win_score == 0:
        return LOWER_WINS
    if pair.gap is None or pair.gap < least_gap:
        return f"judged afresh, the gap is below {least_gap}"
    return ""
