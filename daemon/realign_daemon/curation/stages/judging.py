"""Judging: quality by the expected value over score tokens, and comparisons in both orders, by one judge or several."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean
from typing import Final, cast

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.judgement import Choice, Rating, rating
from realign_daemon.curation.material import Comparison, Material, Pair, Prompt, Rated, Response
from realign_daemon.curation.metrics.preference import Verdict, cohens_kappa, pair_yield, share_equal
from realign_daemon.curation.pairs import best_and_worst
from realign_daemon.curation.spec import ModelPin
from realign_daemon.curation.stages.measures import Measures, exact, rate
from realign_daemon.curation.templates import Template, load
from realign_daemon.engine.api import Fill, Filled

GIVEN_UP = "the judgement was given up"
AGAIN: Final = "rubric_again"  # the same aspects, asked for in another way
ALIKE = "the prompt has no two different responses"

Versus = tuple[Prompt, str, str]  # a prompt and two answers to it


async def score_pairs(desk: Desk, material: Material) -> Measures:
    """Stage 3: every response rated, the best and worst of each prompt compared in both orders.

    Pairs that were given stay as their owner prefers them. Measures agreement_rate: the share of pairs with the same
    winner in both orders (arXiv 2406.07791); a tie in either order is not agreement. Reports pair_yield (the share of
    prompts that gave a pair at all) and, of several judges, their agreement and Cohen's kappa.
    """
    usable = [response for response in material.responses if response.text and not response.is_truncated]
    desk.say(f"rating {len(usable)} responses")
    by_prompt: dict[str, list[Rated]] = defaultdict(list)
    for rated in await rate_responses(desk, usable, template="rubric"):
        by_prompt[rated.response.prompt.id].append(rated)
    material.rated = dict(by_prompt)
    candidates = _given(material) if material.given else _sampled(desk, material)
    desk.say(f"comparing {len(candidates)} pairs in both orders")
    by_judge = await compare_by_each(
        desk, [(best.response.prompt, best.response.text, worst.response.text) for best, worst in candidates]
    )
    material.pairs = []
    for (best, worst), comparison in zip(candidates, _together(by_judge), strict=True):
        if comparison is None:
            drop_pair(material, desk.stage.name, GIVEN_UP, best, worst)
        else:
            material.pairs.append(Pair(chosen=best, rejected=worst, comparison=comparison))
    material.show(desk.stage.name, [_shown(pair) for pair in material.pairs])
    agreed = sum(pair.comparison.is_consistent for pair in material.pairs)
    return {
        "agreement_rate": rate("agreement_rate", agreed, len(material.pairs)),
        **exact("pair_yield", pair_yield(len(material.prompts), len(candidates)), len(candidates)),
        **_between_judges(by_judge),
    }


def drop_pair(material: Material, stage: str, reason: str, chosen: Rated, rejected: Rated, **more: object) -> None:
    """Notes a pair that was left out, with its texts."""
    material.drop(
        stage,
        reason,
        chunk=chosen.response.prompt.chunk,
        question=chosen.response.prompt.question,
        chosen=chosen.response.text,
        rejected=rejected.response.text,
        **more,
    )


async def rate_responses(
    desk: Desk, responses: Sequence[Response], *, template: str, judges: Sequence[ModelPin] = ()
) -> list[Rated]:
    """The quality of each response, 1..10; responses whose judgement was given up by a judge are left out.

    A rubric's aspects each weigh the same, and so does each judge, which are all of the job's unless some are named; an
    aspect's value is the expectation over the probabilities of its digits (G-Eval, arXiv 2303.16634), so equal digits
    still differ.
    """
    columns = [await rated_by(desk, pin, responses, template=template) for pin in judges or desk.judges]
    found: list[Rated] = []
    for response, *judged in zip(responses, *columns, strict=True):
        said = tuple(one for one in judged if one is not None)
        if len(said) == len(judged):
            found.append(Rated(response=response, quality=fmean(one.quality for one in said), judgements=said))
    return found


def warn_of_echoes(desk: Desk, judges: Sequence[ModelPin], *, metric: str) -> None:
    """Warns where a judge's second look is its first: it has one way to grade, so the metric is not judged afresh."""
    for name in dict.fromkeys(pin.templates for pin in judges):
        first, second = (load(name).template(one) for one in ("rubric", AGAIN))
        if (first.messages, first.form) == (second.messages, second.form):
            desk.warn(
                f"{metric} is judged as the pairs were picked, not afresh, so it flatters: the template set {name!r} "
                "knows one way to grade"
            )


async def compare(desk: Desk, contests: Sequence[Versus]) -> list[Comparison | None]:
    """Each pair of answers judged in both orders by all judges together; None where a judgement was given up."""
    return _together(await compare_by_each(desk, contests))


async def compare_by_each(desk: Desk, contests: Sequence[Versus]) -> list[list[Comparison | None]]:
    """For each judge: each pair of answers judged in both orders; None where a judgement was given up."""
    return [await _compare(desk, pin, contests) for pin in desk.judges]


async def rated_by(desk: Desk, pin: ModelPin, responses: Sequence[Response], *, template: str) -> list[Rating | None]:
    """One judge's word on each response, by a rubric; None where it was given up."""
    tasks = rubric_tasks(pin, responses, load(pin.templates).template(template))
    results = await desk.fill_by(pin, tasks)
    return [
        None if result is None else rating(pin, task, result, desk.made(task))
        for task, result in zip(tasks, results, strict=True)
    ]


def rubric_tasks(pin: ModelPin, responses: Sequence[Response], rubric: Template) -> list[Fill]:
    """A task for each response that has a judge fill in the rubric's form."""
    return [
        Fill(
            model=pin.model,
            messages=rubric.render(
                question=response.prompt.question, response=response.text, chunk=response.prompt.chunk.text
            ),
            form=rubric.form,
            template=rubric.id,
        )
        for response in responses
    ]


async def _compare(desk: Desk, pin: ModelPin, contests: Sequence[Versus]) -> list[Comparison | None]:
    template = load(pin.templates).template("compare")

    def task(prompt: Prompt, first: str, second: str) -> Fill:
        return Fill(
            model=pin.model,
            messages=template.render(question=prompt.question, first=first, second=second, chunk=prompt.chunk.text),
            form=template.form,
            template=template.id,
        )

    tasks = [task(prompt, *pair) for prompt, one, other in contests for pair in ((one, other), (other, one))]
    results = await desk.fill_by(pin, tasks)
    choices = cast("tuple[Verdict, ...]", template.form[-1].choices)  # every set's compare.toml has these

    def said(task: Fill, result: Filled) -> Choice:
        odds = result.probabilities[-1]
        winner = choices[max(range(len(choices)), key=odds.__getitem__)]
        return Choice(judge=pin, template=task.template, made=desk.made(task), winner=winner, samples=result.samples)

    found = [None if result is None else said(task, result) for task, result in zip(tasks, results, strict=True)]
    return [
        None if first is None or second is None else _in_both_orders([(first, second)])
        for first, second in zip(found[::2], found[1::2], strict=True)
    ]


def _together(by_judge: Sequence[Sequence[Comparison | None]]) -> list[Comparison | None]:
    """What most judges say in each order; None where one judge's word is missing."""
    together: list[Comparison | None] = []
    for said in zip(*by_judge, strict=True):
        known = [orders for comparison in said if comparison is not None for orders in comparison.judgements]
        together.append(None if len(known) < len(said) else _in_both_orders(known))
    return together


def _in_both_orders(judgements: Sequence[tuple[Choice, Choice]]) -> Comparison:
    shown_first, shown_second = zip(*judgements, strict=True)
    return Comparison(
        first_shown_first=_most(shown_first),
        first_shown_second=_most(shown_second),
        judgements=tuple(judgements),
    )


def _most(judgements: Sequence[Choice]) -> Verdict:
    """The verdict that more judges give than any other; a tie where there is none."""
    winners: list[Verdict] = [one.winner for one in judgements]
    (first, votes), *others = Counter(winners).most_common()
    return "T" if others and others[0][1] == votes else first


def _between_judges(by_judge: Sequence[Sequence[Comparison | None]]) -> Measures:
    """How far the judges agree on the winners, as the mean over all pairs of judges; nothing for a single judge."""
    agreements: list[float] = []
    kappas: list[float] = []
    for one, other in combinations(by_judge, 2):
        both = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
        first, second = [_label(a) for a, _ in both], [_label(b) for _, b in both]
        agreement, kappa = share_equal(first, second), cohens_kappa(first, second)
        agreements += [] if agreement is None else [agreement]
        kappas += [] if kappa is None else [kappa]
    return {
        **(exact("judge_agreement", fmean(agreements), len(by_judge[0])) if agreements else {}),
        **(exact("judge_kappa", fmean(kappas), len(by_judge[0])) if kappas else {}),
    }


def _label(comparison: Comparison) -> str:
    return comparison.first_shown_first if comparison.is_consistent else "T"


def _given(material: Material) -> list[tuple[Rated, Rated]]:
    """The given pairs of which both answers were rated, in their owner's order."""
    rated = {(one.response.prompt.id, one.response.text): one for several in material.rated.values() for one in several}
    pairs = [
        (rated.get((pair.prompt.id, pair.chosen.text)), rated.get((pair.prompt.id, pair.rejected.text)))
        for pair in material.given
    ]
    return [(chosen, rejected) for chosen, rejected in pairs if chosen is not None and rejected is not None]


def _sampled(desk: Desk, material: Material) -> list[tuple[Rated, Rated]]:
    """The best and the worst response of each prompt that has two different ones."""
    candidates: list[tuple[Rated, Rated]] = []
    for prompt in material.prompts:
        found = best_and_worst(material.rated.get(prompt.id, []))
        if found is None:
            material.drop(desk.stage.name, ALIKE, chunk=prompt.chunk, question=prompt.question)
        else:
            candidates.append(found)
    return candidates


def _shown(pair: Pair) -> dict[str, object]:
    return {
        "question": pair.prompt.question,
        "chosen": pair.chosen.response.text,
        "chosen_quality": round(pair.chosen.quality, 3),
        "rejected": pair.rejected.response.text,
        "rejected_quality": round(pair.rejected.quality, 3),
        "is_consistent": pair.comparison.is_consistent,
    }
