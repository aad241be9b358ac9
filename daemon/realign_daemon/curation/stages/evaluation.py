"""Evaluation: the tuned model against its own baseline on sections that no training row came from."""

from __future__ import annotations

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Comparison, Material, Response
from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.stages import answers, judging, measures
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.engine.api import Sha256
from realign_planner.gates import Measure

TIE = Comparison(first_shown_first="T", first_shown_second="T")


async def evaluate(desk: Desk, material: Material) -> Measures:
    """Stage 6. Measures win_rate: how often the tuned answer wins against the baseline's, both orders, ties half.

    Both answer greedily; answers that are the same are a tie without asking.
    """
    before, after = await _answers(desk, material)
    common = sorted(before.keys() & after.keys())
    differing = [key for key in common if normalise(before[key].text) != normalise(after[key].text)]
    desk.say(f"comparing {len(common)} held-out answers with the baseline")
    judged = await judging.compare(desk, [(after[key].prompt, after[key].text, before[key].text) for key in differing])
    contests = dict(zip(differing, judged, strict=True))
    scores = [contest.win_score for key in common if (contest := contests.get(key, TIE)) is not None]
    return {"win_rate": await measures.mean(desk, "win_rate", scores)}


async def quality_change(desk: Desk, material: Material) -> Measure:
    """task_metric: mean change of judged quality (1..10) from the baseline's answers to the tuned model's.

    Whoever picked the pairs would say no more than that the model learned to please them, so another rubric grades, and
    of several judges those beside the first.
    """
    if material.tuned is None:
        return Measure(metric="task_metric", value=None, n=0)
    judges = [pin for pin in desk.judges if pin.model != desk.pin("judge").model] or desk.judges
    judging.warn_of_echoes(desk, judges, metric="task_metric")
    before, after = await _answers(desk, material)
    desk.say("rating held-out answers before and after")
    qualities = [
        {
            rated.response.prompt.id: rated.quality
            for rated in await judging.rate_responses(desk, list(given.values()), template=judging.AGAIN, judges=judges)
        }
        for given in (before, after)
    ]
    changes = [qualities[1][key] - qualities[0][key] for key in sorted(qualities[0].keys() & qualities[1].keys())]
    return await measures.mean(desk, "task_metric", changes)


async def _answers(desk: Desk, material: Material) -> tuple[dict[str, Response], dict[str, Response]]:
    """Greedy answers to the held-out prompts, by prompt: of the baseline and of the tuned model."""
    baseline = material.baseline.adapter if material.baseline else None
    return await _greedy(desk, material, baseline), await _greedy(desk, material, material.adapter)


async def _greedy(desk: Desk, material: Material, adapter: Sha256 | None) -> dict[str, Response]:
    held_out = [prompt for prompt in material.prompts if prompt.is_held_out]
    responses = await answers.sample(
        desk, held_out, role="target", kind="response", temperatures=(0.0,), adapter=adapter
    )
    return {response.prompt.id: response for response in responses}
