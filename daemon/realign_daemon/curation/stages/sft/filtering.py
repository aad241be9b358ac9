"""Quality filter: stage 2 of SFT. What repeats, is poor, does not fit its question or has no ground is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.judgement import evidence
from realign_daemon.curation.material import Material, Response, Row
from realign_daemon.curation.stages import hygiene, measures
from realign_daemon.curation.stages.judging import GIVEN_UP
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.stages.rows import made, row, within_count
from realign_daemon.curation.stages.sft.conversation import opening
from realign_daemon.curation.stages.sft.lesson import Lesson, judged, measured
from realign_daemon.curation.stages.sft.preparation import answer_prompts, is_whole
from realign_planner.thresholds import Tiered, threshold

# Above it the question makes its own answer less likely (arXiv 2308.12032).
MISMATCH_ABOVE = 1.0
# Own choice, of 1 to 5: nearer to "most claims are supported" than to the middle.
GROUNDED_FROM = 3.5

UNFITTING = "its question makes the answer less likely (IFD above 1)"
UNGROUNDED = "the passage does not support the answer"


async def quality_filter(desk: Desk, material: Material) -> Measures:
    """Makes rows of the answers and keeps those worth learning.

    What repeats goes first, then what scores below the cut, then mismatches by instruction-following difficulty (IFD),
    then what has no ground in its passage, then what `--count` has no room for.

    Measures quality_score: the mean over all judged rows before any is cut. Reports quality_yield (the share of them
    at the MEDIUM boundary or above), mean_ifd and ifd_yield (the share without mismatch), and grounded_yield, each of
    what had passed before.
    """
    await answer_prompts(desk, material)  # prompts may have been added since
    lessons = await _clean(desk, material)
    desk.say(f"judging {len(lessons)} answers")
    lessons = _keep(desk, material, await judged(desk, lessons), lambda one: GIVEN_UP if one.quality is None else "")
    qualities = [lesson.quality for lesson in lessons if lesson.quality is not None]
    limits = threshold("quality_score", desk.spec.gate_settings)
    assert isinstance(limits, Tiered), "the quality score has tiers"
    good = _keep(desk, material, lessons, lambda one: _poor(one, limits.medium))
    desk.say(f"measuring how much the question tells of {len(good)} answers")
    scored = _keep(desk, material, await measured(desk, good), _unmeasured)
    difficulties = [lesson.difficulty for lesson in scored if lesson.difficulty is not None]
    fitting = _keep(desk, material, scored, _mismatched)
    grounded = _keep(desk, material, fitting, _ungrounded)
    material.rows = within_count(desk, material, [_with_evidence(lesson) for lesson in grounded])
    kept = {one.fields["id"] for one in material.rows}
    material.show(desk.stage.name, [_shown(lesson) for lesson in grounded if lesson.row.fields["id"] in kept])
    return {
        "quality_score": await measures.mean(desk, "quality_score", qualities),
        **_share("quality_yield", len(good), len(lessons)),
        **exact("mean_ifd", fmean(difficulties) if difficulties else None, len(difficulties)),
        **_share("ifd_yield", len(fitting), len(scored)),
        **_share("grounded_yield", len(grounded), len(fitting)),
    }


async def _clean(desk: Desk, material: Material) -> list[Lesson]:
    """The whole answers as rows that repeat nothing and hold no personal data, in the order of their prompts."""
    prompts = {prompt.id: prompt for prompt in material.prompts}
    rows = [
        row(
            desk,
            response.prompt,
            {"messages": _messages(desk, response)},
            prompt_id=response.prompt.id,
            answered_by=made(desk, "generator", response.task),
        )
        for response in material.responses
        if is_whole(response)
    ]
    clean = await hygiene.clean_rows(desk, material, rows)
    return [Lesson(prompt=prompts[one.provenance["prompt_id"]], row=one) for one in clean]


def _messages(desk: Desk, response: Response) -> list[dict[str, str]]:
    before = [{"role": turn.role, "content": turn.content} for turn in opening(desk, response.prompt.question)]
    return [*before, {"role": "assistant", "content": response.text}]


def _keep(desk: Desk, material: Material, lessons: Sequence[Lesson], why_not: Callable[[Lesson], str]) -> list[Lesson]:
    """The lessons that there is nothing against; each other one is noted with the reason and what was measured."""
    kept: list[Lesson] = []
    for lesson in lessons:
        if reason := why_not(lesson):
            material.drop(desk.stage.name, reason, chunk=lesson.prompt.chunk, **_shown(lesson))
        else:
            kept.append(lesson)
    return kept


def _poor(lesson: Lesson, least: float) -> str:
    is_poor = lesson.quality is not None and lesson.quality < least
    return f"judged, its quality is below {least:g}" if is_poor else ""


def _unmeasured(lesson: Lesson) -> str:
    return "its IFD could not be measured" if lesson.difficulty is None else ""


def _mismatched(lesson: Lesson) -> str:
    is_mismatch = lesson.difficulty is not None and lesson.difficulty > MISMATCH_ABOVE
    return UNFITTING if is_mismatch else ""


def _ungrounded(lesson: Lesson) -> str:
    is_ungrounded = lesson.groundedness is not None and lesson.groundedness < GROUNDED_FROM
    return UNGROUNDED if is_ungrounded else ""


def _shown(lesson: Lesson) -> dict[str, object]:
    values = {"quality": lesson.quality, "groundedness": lesson.groundedness, "ifd": lesson.difficulty}
    return {
        "question": lesson.opening[-1].content,
        "answer": lesson.answer,
        **{name: round(value, 4) for name, value in values.items() if value is not None},
    }


def _with_evidence(lesson: Lesson) -> Row:
    shown = _shown(lesson)
    found = {name: shown[name] for name in ("quality", "groundedness")}
    found["models"] = evidence(({"of": "answer"}, one) for one in lesson.judgements)
    return replace(lesson.row, provenance={**lesson.row.provenance, "judge": found, "ifd": shown["ifd"]})


def _share(metric: str, hits: int, n: int) -> Measures:
    return exact(metric, hits / n if n else None, n)
