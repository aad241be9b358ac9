"""Held out: stages 6 and 7 of RLVR. What training gave on problems that nothing was learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.metrics.answering import pass_at
from realign_daemon.curation.stages import measures, suites
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.stages.rlvr.problem import sound
from realign_daemon.curation.stages.rlvr.solutions import sample
from realign_daemon.curation.stages.rlvr.verification import solutions_of
from realign_daemon.engine.api import Sha256, Trained

K = 4  # of pass@k: few enough for the fewest samples that a job may have

Verified = Mapping[str, Sequence[bool]]  # by prompt id: whether each sample verifies


async def validate(desk: Desk, material: Material) -> Measures:
    """Stage 6. Measures gain_over_random: held-out pass@1 with the true rewards minus that of the control, paired."""
    desk.say("solving held-out problems with true and with random rewards")
    true, control = [await _trained(desk, material, one) for one in (material.tuned, material.control)]
    material.show(desk.stage.name, _shown(material, with_true_rewards=true, with_random_rewards=control))
    return {"gain_over_random": await measures.mean(desk, "gain_over_random", _gains(control, true))}


async def evaluate(desk: Desk, material: Material) -> Measures:
    """Stage 7. Measures pass_gain, the paired change of held-out pass@1, and regression; reports pass@1 and pass@k.

    Every sample is a seed of its own, the same before and after.
    """
    before = await _verified(desk, material, adapter=None)
    after = await _trained(desk, material, material.tuned)
    material.show(desk.stage.name, _shown(material, before=before, after=after))
    return {
        "pass_gain": await measures.mean(desk, "pass_gain", _gains(before, after)),
        **_reported("before", before),
        **_reported("after", after),
        **await suites.monitor_regression(desk, material),
    }


async def _trained(desk: Desk, material: Material, trained: Trained | None) -> Verified:
    return {} if trained is None else await _verified(desk, material, adapter=trained.adapter)


async def _verified(desk: Desk, material: Material, *, adapter: Sha256 | None) -> Verified:
    problems = {one.prompt.id: one for one in sound(material) if one.prompt.is_held_out}
    responses = await sample(desk, list(problems.values()), adapter=adapter)
    found = await solutions_of(desk, problems, responses)
    return {key: [one.is_correct for one in solutions] for key, solutions in found.items()}


def _gains(before: Verified, after: Verified) -> list[float]:
    """For each problem with samples before and after, the change of its pass@1."""
    return [fmean(after[key]) - fmean(before[key]) for key in sorted(before.keys() & after.keys())]


def _reported(when: str, verified: Verified) -> Measures:
    """pass@1 and pass@k over problems with enough samples."""
    enough = [found for found in verified.values() if len(found) >= K]
    one, several = ([pass_at(k, found) for found in enough] for k in (1, K))
    return {
        **exact(f"pass_at_1_{when}", fmean(one) if one else None, len(one)),
        **exact(f"pass_at_{K}_{when}", fmean(several) if several else None, len(several)),
    }


def _shown(material: Material, **verified: Verified) -> list[dict[str, object]]:
    """Held-out problems, and for each way of solving them how many samples verified."""
    return [
        {
            "problem": one.prompt.question,
            "answer": one.prompt.gold,
            **{name: f"{sum(found[one.prompt.id])} of {len(found[one.prompt.id])}" for name, found in verified.items()},
        }
        for one in sound(material)
        if all(one.prompt.id in found for found in verified.values())
    ]
