"""Judging: quality by the expected value over score tokens, and comparisons in both orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Comparison, Material, Pair, Prompt, Rated, Response
from realign_daemon.curation.metrics.preference import Verdict, pair_yield
from realign_daemon.curation.metrics.quality import expected_quality
from realign_daemon.curation.pairs import best_and_worst
from realign_daemon.curation.stages.measures import Measures, exact, rate
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Fill

GIVEN_UP = "the judgement was given up"

Versus = tuple[Prompt, str, str]  # a prompt and two answers to it


async def score_pairs(desk: Desk, material: Material) -> Measures:
    """Stage 3: every response rated, the best and worst of each prompt compared in both orders.

    Measures agreement_rate: the share of pairs with the same winner in both orders (arXiv 2406.07791); a tie in
    either order is not agreement. Reports pair_yield: the share of prompts that gave a pair at all.
    """
    usable = [response for response in material.responses if response.text and not response.is_truncated]
    desk.say(f"rating {len(usable)} responses")
    by_prompt: dict[str, list[Rated]] = defaultdict(list)
    for rated in await rate_responses(desk, usable, template="rubric"):
        by_prompt[rated.response.prompt.id].append(rated)
    material.rated = dict(by_prompt)
    candidates: list[tuple[Rated, Rated]] = []
    for prompt in material.prompts:
        found = best_and_worst(material.rated.get(prompt.id, []))
        if found is None:
            material.drop("score_pairs", "the prompt has no two different responses", question=prompt.question)
        else:
            candidates.append(found)
    desk.say(f"comparing {len(candidates)} pairs in both orders")
    comparisons = await compare(
        desk, [(best.response.prompt, best.response.text, worst.response.text) for best, worst in candidates]
    )
    material.pairs = []
    for (best, worst), comparison in zip(candidates, comparisons, strict=True):
        if comparison is None:
            drop_pair(material, "score_pairs", GIVEN_UP, best, worst)
        else:
            material.pairs.append(Pair(chosen=best, rejected=worst, comparison=comparison))
    agreed = sum(pair.comparison.is_consistent for pair in material.pairs)
    return {
        "agreement_rate": rate("agreement_rate", agreed, len(material.pairs)),
        **exact("pair_yield", pair_yield(len(material.prompts), len(candidates)), len(candidates)),
    }


def drop_pair(material: Material, stage: str, reason: str, chosen: Rated, rejected: Rated, **more: object) -> None:
    """Notes a pair that was left out, with its texts."""
    material.drop(
        stage,
        reason,
        question=chosen.response.prompt.question,
        chosen=chosen.response.text,
        rejected=rejected.response.text,
        **more,
    )


async def rate_responses(desk: Desk, responses: Sequence[Response], *, template: str) -> list[Rated]:
    """The quality of each response, 1..10; responses whose judgement was given up are left out.

    A rubric's aspects each weigh the same; an aspect's value is the expectation over the probabilities of its digits
    (G-Eval, arXiv 2303.16634), so equal digits still differ.
    """
    rubric = load(desk.pin("judge").templates).template(template)
    tasks = [
        Fill(
            model=desk.pin("judge").model,
            messages=rubric.render(
                question=response.prompt.question, response=response.text, chunk=response.prompt.chunk.text
            ),
            form=rubric.form,
            template=rubric.id,
        )
        for response in responses
    ]
    results = await desk.fill("judge", tasks)
    return [
        Rated(response=response, quality=expected_quality(result.probabilities))
        for response, result in zip(responses, results, strict=True)
        if result is not None
    ]


async def compare(desk: Desk, contests: Sequence[Versus]) -> list[Comparison | None]:
    """Each pair of answers judged in both orders; None where a judgement was given up."""
    template = load(desk.pin("judge").templates).template("compare")

    def task(prompt: Prompt, first: str, second: str) -> Fill:
        return Fill(
            model=desk.pin("judge").model,
            messages=template.render(question=prompt.question, first=first, second=second, chunk=prompt.chunk.text),
            form=template.form,
            template=template.id,
        )

    tasks = [task(prompt, *pair) for prompt, one, other in contests for pair in ((one, other), (other, one))]
    results = await desk.fill("judge", tasks)
    choices = cast("tuple[Verdict, ...]", template.form[-1].choices)  # every set's compare.toml has these

    def winner(probabilities: tuple[float, ...]) -> Verdict:
        return choices[max(range(len(choices)), key=probabilities.__getitem__)]

    winners: list[Verdict | None] = [None if result is None else winner(result.probabilities[-1]) for result in results]
    return [
        None if first is None or second is None else Comparison(first_shown_first=first, first_shown_second=second)
        for first, second in zip(winners[::2], winners[1::2], strict=True)
    ]
