"""Validation: stage 5 of SFT. How much likelier held-out answers have become."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.stages import measures
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.stages.sft.conversation import turns
from realign_daemon.curation.stages.sft.training import watched_and_fresh
from realign_daemon.engine.api import Message, Score, Sha256
from realign_planner.gates import Measure


async def validate(desk: Desk, material: Material) -> Measures:
    """Measures held_out_gain: the mean fall of the loss per token over held-out answers, row by row.

    Rows that chose when to stop are left out. Reports the loss before and after.
    """
    _, rows = watched_and_fresh(material.rows, desk.spec.seed)
    if material.tuned is None:
        return {"held_out_gain": Measure(metric="held_out_gain", value=None, n=0)}
    answers = [turns(row.fields) for row in rows]
    desk.say(f"scoring {len(answers)} held-out answers before and after")
    before = await _losses(desk, answers, adapter=None)
    after = await _losses(desk, answers, adapter=material.adapter)
    pairs = [(old, new) for old, new in zip(before, after, strict=True) if old is not None and new is not None]
    material.show(
        desk.stage.name,
        [
            {"question": one[-2].content, "answer": one[-1].content, "loss_before": old, "loss_after": new}
            for one, old, new in zip(answers, before, after, strict=True)
        ],
    )
    return {
        "held_out_gain": await measures.mean(desk, "held_out_gain", [old - new for old, new in pairs]),
        **exact("held_out_loss_before", fmean(old for old, _ in pairs) if pairs else None, len(pairs)),
        **exact("held_out_loss_after", fmean(new for _, new in pairs) if pairs else None, len(pairs)),
    }


async def _losses(desk: Desk, answers: Sequence[tuple[Message, ...]], *, adapter: Sha256 | None) -> list[float | None]:
    """The mean loss of a token of each answer; None where the unit was given up."""
    model = desk.pin("target").model
    tasks = [Score(model=model, adapter=adapter, messages=one[:-1], completion=one[-1].content) for one in answers]
    scored = await desk.score("target", tasks)
    return [None if one is None else -one.logprob / one.tokens for one in scored]
