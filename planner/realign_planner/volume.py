"""Volume: how much there is to do for a job, from the rows that are wanted and what the sources hold."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

DEFAULT_COUNT: Final = 1_000  # rows, for the estimate, when neither option, text nor sources say how many
PROMPTS_PER_ROW: Final = (
    3  # about a third of the prompts gives a training row, after held-out sections and dropped ones
)
HELD_OUT_PROMPTS: Final = 100  # beside those: the gates on held-out ones want as many


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What the units of a job are counted by."""

    passages: int  # that questions are drawn from; records are passages, too
    rows: int  # to train on
    samples: int | None = None  # of a question or a problem; None: as many as the workflow takes


def asked_about(count: int) -> int:
    """How many passages are asked about for so many rows, as far as the sources have them."""
    return count * PROMPTS_PER_ROW + HELD_OUT_PROMPTS


def volume_of(
    *, count: int | None, passages: int | None = None, has_rows: bool = False, samples: int | None = None
) -> Volume:
    """The volume of a job. Without a count everything that the sources hold is asked about.

    Rows that somebody has already are all used. Where nobody knows the sources they hold enough.
    """
    if passages is None:
        count = count or DEFAULT_COUNT
        passages = count if has_rows else asked_about(count)
    elif count is not None and not has_rows:
        passages = min(passages, asked_about(count))
    rows = ceil(passages / PROMPTS_PER_ROW) if count is None else min(count, passages)
    return Volume(passages=passages, rows=rows, samples=samples)
