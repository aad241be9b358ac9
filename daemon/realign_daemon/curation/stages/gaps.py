"""Gaps: stage 4 of DPO. Measures how far apart the pairs are, afresh, and keeps those that are worth training on."""

from __future__ import annotations

from dataclasses import replace

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Pair
from realign_daemon.curation.metrics.preference import length_bias, preference_gap
from realign_daemon.curation.stages import judging, measures
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.stages.rows import preference_row
from realign_planner.thresholds import Tiered, threshold


async def validate_gaps(desk: Desk, material: Material) -> Measures:
    """Judges best and worst again, since the best of several noisy scores is too high by chance, and makes the rows.

    Measures preference_gap: the mean over all pairs before any is dropped for its gap. Reports preference_yield (the
    share of pairs with at least the HIGH gap) and length_bias (the share whose longer answer was chosen).
    """
    desk.say(f"judging {len(material.pairs)} pairs afresh")
    both = [rated.response for pair in material.pairs for rated in (pair.chosen, pair.rejected)]
    fresh = {
        (rated.response.prompt.id, rated.response.text): rated.quality
        for rated in await judging.rate_responses(desk, both, template="rubric_again")
    }
    judged: list[Pair] = []
    for pair in material.pairs:
        qualities = [fresh.get((pair.prompt.id, rated.response.text)) for rated in (pair.chosen, pair.rejected)]
        if qualities[0] is not None and qualities[1] is not None:
            judged.append(replace(pair, gap=preference_gap(qualities[0], qualities[1])))
    material.pairs = judged
    gaps = [pair.gap for pair in judged if pair.gap is not None]
    limits = threshold("preference_gap", desk.spec.settings)
    assert isinstance(limits, Tiered), "the preference gap has tiers"
    kept = _keep(desk, material, judged, least_gap=limits.medium)
    material.rows = [preference_row(desk, pair) for pair in kept]
    lengths = [(len(pair.chosen.response.text), len(pair.rejected.response.text)) for pair in judged]
    wide = sum(gap >= limits.high for gap in gaps)
    return {
        "preference_gap": await measures.mean(desk, "preference_gap", gaps),
        **exact("preference_yield", wide / len(gaps) if gaps else None, len(gaps)),
        **exact("length_bias", length_bias(lengths), len(lengths)),
    }


def _keep(desk: Desk, material: Material, judged: list[Pair], *, least_gap: float) -> list[Pair]:
    """The pairs to train on, at most `count` of them in training; each other one is dropped with its reason."""
    kept: list[Pair] = []
    room = desk.spec.count
    for pair in judged:
        reason = _why_not(pair, least_gap)
        if not reason and not pair.prompt.is_held_out and room is not None:
            reason = "" if room > 0 else "more rows than --count asked for"
            room -= not reason
        if reason:
            material.drop(
                "validate_gaps",
                reason,
                question=pair.prompt.question,
                chosen=pair.chosen.response.text,
                rejected=pair.rejected.response.text,
                gap=None if pair.gap is None else round(pair.gap, 4),
            )
        else:
            kept.append(pair)
    return kept


def _why_not(pair: Pair, least_gap: float) -> str:
    if pair.comparison.winner == 0:
        return "the judge names another winner when the order is swapped, or a tie"
    if pair.comparison.winner < 0:
        return "compared side by side, the answer with the lower score wins"
    if pair.gap is None or pair.gap < least_gap:
        return f"judged afresh, the gap is below {least_gap}"
    return ""
