"""Rows: what goes into the data set, flat and clean, and the provenance that lies beside it."""

from __future__ import annotations

from typing import Any

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.export import row_id
from realign_daemon.curation.material import Pair, Rated, Row
from realign_planner.plan import Role


def preference_row(desk: Desk, pair: Pair) -> Row:
    """A DPO row: prompt, chosen and rejected as text."""
    fields = {
        "prompt": pair.prompt.question,
        "chosen": pair.chosen.response.text,
        "rejected": pair.rejected.response.text,
    }
    chunk = pair.prompt.chunk
    provenance = {
        "source": {"name": chunk.source, "sha256": chunk.source_sha256, "section": chunk.section},
        "spans": [{"page": span.page, "start": span.start, "end": span.end} for span in chunk.spans],
        "question": _made(desk, pair.prompt.task.template, "generator", desk.made(pair.prompt.task).node),
        "chosen": _answer(desk, pair.chosen),
        "rejected": _answer(desk, pair.rejected),
        "judge": {
            "model": desk.pin("judge").name,
            "model_sha256": desk.pin("judge").model,
            "chosen_quality": round(pair.chosen.quality, 4),
            "rejected_quality": round(pair.rejected.quality, 4),
            "chosen_shown_first": pair.comparison.first_shown_first,
            "chosen_shown_second": pair.comparison.first_shown_second,
            "gap": None if pair.gap is None else round(pair.gap, 4),
        },
        "job": desk.spec.job_id,
    }
    return Row(fields={"id": row_id(fields), **fields}, provenance=provenance, is_held_out=pair.prompt.is_held_out)


def _answer(desk: Desk, rated: Rated) -> dict[str, Any]:
    task = rated.response.task
    made = desk.made(task)
    return _made(desk, task.template, "target", made.node) | {
        "unit": made.key,
        "adapter": task.adapter,
        "temperature": task.sampler.temperature,
        "top_p": task.sampler.top_p,
        "max_tokens": task.sampler.max_tokens,
        "seed": task.seed,
    }


def _made(desk: Desk, template: str, role: Role, node: str) -> dict[str, Any]:
    pin = desk.pin(role)
    return {"model": pin.name, "model_sha256": pin.model, "template": template, "node": node}
