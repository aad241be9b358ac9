"""Evaluation: stage 6 of SFT. Questions about held-out sections, answered without the passage before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Prompt
from realign_daemon.curation.metrics.learning import paired_changes
from realign_daemon.curation.stages import measures
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.stages.sft.conversation import greedy_tasks
from realign_daemon.curation.stages.sft.training import watched_and_fresh
from realign_daemon.curation.stages.suites import monitor_regression
from realign_daemon.curation.stages.verdicts import verdicts
from realign_daemon.engine.api import Sha256
from realign_planner.gates import Measure

Answered = tuple[str, bool | None]  # an answer, and whether it is right


async def evaluate(desk: Desk, material: Material) -> Measures:
    """Measures closed_book_gain, the mean change in being right over the held-out questions, and regression.

    Held-out questions are asked whatever became of their answers as rows; only those whose rows chose when training
    stopped are left out. Reports the shares right before and after, and of the questions known before (answered right)
    and unknown before the shares right afterwards.
    """
    if material.tuned is None:
        nothing = Measure(metric="closed_book_gain", value=None, n=0)
        return {"closed_book_gain": nothing, **await monitor_regression(desk, material)}
    prompts = _with_references(material, desk.spec.seed)
    desk.say(f"asking {len(prompts)} held-out questions before and after")
    before = await _answered(desk, prompts, adapter=None)
    after = await _answered(desk, prompts, adapter=material.adapter)
    material.show(
        desk.stage.name,
        [
            {"question": prompt.question, "before": old, "was_right": was, "after": new, "is_right": now}
            for prompt, (old, was), (new, now) in zip(prompts, before, after, strict=True)
        ],
    )
    rights = [[None if right is None else float(right) for _, right in column] for column in (before, after)]
    changes = paired_changes(*rights)
    both = [(was, now) for was, now in zip(*rights, strict=True) if was is not None and now is not None]
    return {
        "closed_book_gain": await measures.mean(desk, "closed_book_gain", changes),
        **_share("closed_book_before", [was for was, _ in both]),
        **_share("closed_book_after", [now for _, now in both]),
        **_share("known_kept", [now for was, now in both if was]),
        **_share("unknown_learned", [now for was, now in both if not was]),
        **await monitor_regression(desk, material),
    }


def _with_references(material: Material, seed: int) -> list[Prompt]:
    """The held-out prompts that nothing has looked at.

    Where no true answer was given, the one that passed the quality filter is the reference.
    """
    kept = {row.provenance["prompt_id"]: row.fields["messages"][-1]["content"] for row in material.rows}
    watched = {row.provenance["prompt_id"] for row in watched_and_fresh(material.rows, seed)[0]}
    held_out = [prompt for prompt in material.prompts if prompt.is_held_out and prompt.id not in watched]
    return [replace(prompt, gold=prompt.gold or kept.get(prompt.id, "")) for prompt in held_out]


async def _answered(desk: Desk, prompts: Sequence[Prompt], *, adapter: Sha256 | None) -> list[Answered]:
    """Greedy answers and their verdicts; a question whose unit was given up has none."""
    tasks = greedy_tasks(desk, [prompt.question for prompt in prompts], adapter=adapter)
    answers = await desk.generate("target", tasks)
    texts = [None if answer is None else answer.text.strip() for answer in answers]
    found = iter(
        await verdicts(desk, [(prompt, text) for prompt, text in zip(prompts, texts, strict=True) if text is not None])
    )
    return [("", None) if text is None else (text, next(found).is_right) for text in texts]


def _share(metric: str, rights: Sequence[float]) -> Measures:
    return exact(metric, sum(rights) / len(rights) if rights else None, len(rights))
