"""The SFT workflow: instructions with good answers out of the documents, and a model trained on them.

Rendering a row reads the tokenizer alone, so it counts as no work; fusing happens only when a job asks for it. Losses
of held-out answers before the training were scored by the filter already.
"""

from __future__ import annotations

from typing import Final

from realign_planner.stage import Operation, Stage
from realign_planner.workflows.yields import GOOD, HELD_OUT, PROMPT, SUITE_ITEMS

EPOCHS: Final = 5  # at most: it ends where held-out rows gain no more

STAGES: Final = (
    Stage(
        name="data_prep",
        title="Data prep",
        gates=("text_ratio", "valid_fraction", "truncated_fraction"),
        pilot=True,
        operations=(
            Operation(
                kind="generate", role="generator", per_passage=1, prompt_tokens=550, output_tokens=50, what="a question"
            ),
            Operation(
                kind="generate",
                role="target",
                fixed=SUITE_ITEMS,
                prompt_tokens=150,
                output_tokens=64,
                what="a suite answer before",
            ),
            Operation(
                kind="generate",
                role="generator",
                per_passage=PROMPT,
                prompt_tokens=600,
                output_tokens=250,
                what="an answer",
            ),
        ),
    ),
    Stage(
        name="quality_filter",
        title="Quality filter",
        gates=("quality_score",),
        reports=("quality_yield", "mean_ifd", "ifd_yield", "grounded_yield"),
        pilot=True,
        operations=(
            Operation(
                kind="judge", role="judge", per_passage=PROMPT, prompt_tokens=900, output_tokens=10, what="a score"
            ),
            Operation(
                kind="score",
                role="target",
                per_passage=2 * PROMPT * GOOD,
                prompt_tokens=300,
                what="a loss with or without the instruction",
            ),
        ),
    ),
    Stage(
        name="format_conversion",
        title="Format conversion",
        gates=("round_trip_fraction",),
        pilot=True,
    ),
    Stage(
        name="train",
        title="Train",
        gates=("training_loss",),
        trains=True,
        operations=(
            Operation(kind="train", role="target", per_row=EPOCHS, prompt_tokens=350, what="a training row, each time"),
        ),
    ),
    Stage(
        name="validate",
        title="Validate",
        gates=("held_out_gain",),
        operations=(
            Operation(
                kind="score",
                role="target",
                per_passage=PROMPT * GOOD * HELD_OUT,
                prompt_tokens=350,
                what="a held-out loss after",
            ),
        ),
    ),
    Stage(
        name="evaluate",
        title="Evaluate",
        gates=("closed_book_gain", "regression"),
        operations=(
            Operation(
                kind="generate",
                role="target",
                per_passage=2 * PROMPT * HELD_OUT,
                prompt_tokens=100,
                output_tokens=250,
                what="a closed-book answer before or after",
            ),
            Operation(
                kind="judge",
                role="judge",
                per_passage=2 * PROMPT * HELD_OUT,
                prompt_tokens=900,
                output_tokens=2,
                what="a verdict",
            ),
            Operation(
                kind="generate",
                role="target",
                fixed=SUITE_ITEMS,
                prompt_tokens=150,
                output_tokens=64,
                what="a suite answer after",
            ),
        ),
    ),
    Stage(
        name="deploy",
        title="Deploy",
        gates=("smoke_fraction",),
        operations=(
            Operation(
                kind="generate", role="target", fixed=20, prompt_tokens=100, output_tokens=100, what="a smoke answer"
            ),
        ),
    ),
)
