"""Rows: what goes into the data set, flat and clean, and the provenance that lies beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.drops import without_dropped
from realign_daemon.curation.export import row_id
from realign_daemon.curation.judgement import Judgement, evidence
from realign_daemon.curation.material import Material, Pair, Prompt, Row
from realign_daemon.curation.place import place, spot
from realign_daemon.engine.api import Generate
from realign_daemon.work.units import seed_for
from realign_planner.plan import Role

CHOSEN: Final = "chosen"
REJECTED: Final = "rejected"


def row(desk: Desk, prompt: Prompt, fields: dict[str, Any], **evidence: object) -> Row:
    """A row of these trainer's fields, under an id that is the hash of them.

    Its provenance says where the prompt stands in the sources, what wrote it, and the `evidence` of its stages.
    """
    return Row(
        fields={"id": row_id(fields), **fields},
        provenance={
            **place(prompt.chunk),
            "question": prompt.question,
            "asked_by": made(desk, "generator", prompt.task),
            **evidence,
            "job": desk.spec.job_id,
        },
        is_held_out=prompt.is_held_out,
    )


def within_count(desk: Desk, material: Material, rows: Sequence[Row]) -> list[Row]:
    """The rows that nobody dropped by hand, of those for training at most `--count`; the others are noted.

    They are drawn by hash, since the first in order would all stand at the beginning of the sources. Held-out rows take
    no room, nor do dropped ones: others fill it.
    """
    wanted, dropped = without_dropped(rows, desk.spec.drops, stage=desk.stage.name)
    material.dropped.extend(dropped)
    spare = beyond_count(wanted, count=desk.spec.count, seed=desk.spec.seed)
    for one in wanted:
        if one.fields["id"] in spare:
            material.drop(desk.stage.name, "more rows than --count asked for", **one.fields, **spot(one.provenance))
    return [one for one in wanted if one.fields["id"] not in spare]


def beyond_count(rows: Sequence[Row], *, count: int | None, seed: int) -> frozenset[str]:
    """The ids of the rows for training that are not among the `count` drawn."""
    training = {str(one.fields["id"]) for one in rows if not one.is_held_out}
    drawn = sorted(training, key=lambda name: seed_for(seed, name, 0))
    return frozenset(drawn[len(drawn) if count is None else count :])


def preference_row(desk: Desk, pair: Pair) -> Row:
    """A DPO row: prompt, chosen and rejected as text."""
    fields = {
        "prompt": pair.prompt.question,
        "chosen": pair.chosen.response.text,
        "rejected": pair.rejected.response.text,
    }
    return row(
        desk,
        pair.prompt,
        fields,
        chosen=made(desk, "target", pair.chosen.response.task),
        rejected=made(desk, "target", pair.rejected.response.task),
        judge={
            "chosen_quality": round(pair.chosen.quality, 4),
            "rejected_quality": round(pair.rejected.quality, 4),
            "gap": None if pair.gap is None else round(pair.gap, 4),
            "models": evidence(_of_pair(pair)),
        },
    )


def _of_pair(pair: Pair) -> Iterator[tuple[dict[str, Any], Judgement]]:
    """Every judgement that a pair went through, with what it was about."""
    for rated, name in ((pair.chosen, CHOSEN), (pair.rejected, REJECTED)):
        yield from (({"of": name}, one) for one in rated.judgements)
    for rated, name in zip(pair.afresh, (CHOSEN, REJECTED), strict=False):
        yield from (({"of": f"{name}, afresh"}, one) for one in rated.judgements)
    for both in pair.comparison.judgements:
        for one, order in zip(both, ((CHOSEN, REJECTED), (REJECTED, CHOSEN)), strict=True):
            yield {"order": list(order), "winner": dict(zip("AB", order, strict=True)).get(one.winner, "tie")}, one


def made(desk: Desk, role: Role, task: Generate | None) -> dict[str, Any] | None:
    """Which model wrote something, with which template, sampler and seed, in which unit and where; None if given."""
    if task is None:
        return None
    pin, unit = desk.pin(role), desk.made(task)
    return {
        **pin.provenance,
        "adapter": task.adapter,
        "template": task.template,
        "temperature": task.sampler.temperature,
        "top_p": task.sampler.top_p,
        "max_tokens": task.sampler.max_tokens,
        "seed": task.seed,
        "unit": unit.key,
        "node": unit.node,
    }
