"""Rows: what goes into the data set, flat and clean, and the provenance that lies beside it."""

from __future__ import annotations

from typing import Any

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.documents.document import Chunk
from realign_daemon.curation.export import row_id
from realign_daemon.curation.material import Pair, Prompt, Row
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Generate
from realign_planner.plan import Role


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
        judge=judged_by(desk, "rubric", "rubric_again", "compare")
        | {
            "chosen_quality": round(pair.chosen.quality, 4),
            "rejected_quality": round(pair.rejected.quality, 4),
            "chosen_shown_first": pair.comparison.first_shown_first,
            "chosen_shown_second": pair.comparison.first_shown_second,
            "gap": None if pair.gap is None else round(pair.gap, 4),
        },
    )


def place(chunk: Chunk) -> dict[str, Any]:
    """Where a chunk stands: its source, its spans, and the text that anybody finds there."""
    return {
        "source": {"name": chunk.source, "sha256": chunk.source_sha256, "section": chunk.section},
        "line": chunk.line,
        "spans": [{"page": span.page, "start": span.start, "end": span.end} for span in chunk.spans],
        "quote": chunk.text,
    }


def made(desk: Desk, role: Role, task: Generate | None) -> dict[str, Any] | None:
    """Which model wrote something, with which template, sampler and seed, in which unit and where; None if given."""
    if task is None:
        return None
    pin, unit = desk.pin(role), desk.made(task)
    return {
        "model": pin.name,
        "model_sha256": pin.model,
        "adapter": task.adapter,
        "template": task.template,
        "temperature": task.sampler.temperature,
        "top_p": task.sampler.top_p,
        "max_tokens": task.sampler.max_tokens,
        "seed": task.seed,
        "unit": unit.key,
        "node": unit.node,
    }


def judged_by(desk: Desk, *templates: str) -> dict[str, Any]:
    """Which models judged, and with which templates of their sets."""
    return {
        "models": [
            {
                "model": pin.name,
                "model_sha256": pin.model,
                "templates": [load(pin.templates).template(name).id for name in templates],
            }
            for pin in desk.judges
        ]
    }
