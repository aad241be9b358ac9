"""Format conversion: stage 3 of SFT. Every row in the target's own tokens and back, as training will see it."""

from __future__ import annotations

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Row
from realign_daemon.curation.place import spot
from realign_daemon.curation.stages.judging import GIVEN_UP
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.stages.sft.conversation import turns
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Render, Rendered


async def format_conversion(desk: Desk, material: Material) -> Measures:
    """Keeps the rows that the target's chat template gives back whole: nothing is changed, and nothing is cut.

    Measures round_trip_fraction: the share of rows whose tokens decode to their turns again, whose loss mask covers
    the last answer and its end and nothing else, and which are no longer than `--set row_tokens`. Reports row_tokens:
    the longest row that is left.
    """
    limit = int(desk.spec.setting("row_tokens", load(desk.pin("target").templates).training("sft").max_tokens))
    desk.say(f"rendering {len(material.rows)} rows with the target's chat template")
    model = desk.pin("target").model
    rendered = await desk.render("target", [Render(model=model, messages=turns(row.fields)) for row in material.rows])
    asked, kept, shown = len(material.rows), list[Row](), list[dict[str, object]]()
    for row, found in zip(material.rows, rendered, strict=True):
        seen: dict[str, object] = {"messages": row.fields["messages"], **_tokens(found)}
        if reason := _why_not(found, limit):
            material.drop(desk.stage.name, reason, **seen, **spot(row.provenance))
        else:
            kept.append(row)
            shown.append(seen)
    material.rows = kept
    material.show(desk.stage.name, shown)
    lengths = [one.prompt_tokens + one.completion_tokens for one in rendered if one and not _why_not(one, limit)]
    return {
        **exact("round_trip_fraction", len(kept) / asked if asked else None, asked),
        **exact("row_tokens", max(lengths, default=None), len(lengths)),
    }


def _why_not(found: Rendered | None, limit: int) -> str:
    if found is None:
        return GIVEN_UP
    is_long = found.prompt_tokens + found.completion_tokens > limit
    return found.problem or ("it has more tokens than --set row_tokens allows" if is_long else "")


def _tokens(found: Rendered | None) -> dict[str, int]:
    return {} if found is None else {"prompt_tokens": found.prompt_tokens, "answer_tokens": found.completion_tokens}
