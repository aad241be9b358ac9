"""The SFT workflow: instructions with good answers out of the documents, and a model trained on them.

Rendering a row reads the tokenizer alone, so it counts as no work; fusing happens only when a job asks for it.
"""

from __future__ import annotations

from typing import Final

from realign_planner.stage import Operation, Stage

STAGES: Final = (
    Stage(
        name="data_prep",
        title="Data prep",
        gates=("text_ratio", "valid_fraction", "truncated_fraction"),
        pilot=True,
        operations=(
            Operation(
                kind="generate", role="generator", per_row=1, prompt_tokens=550, output_tokens=50, what="a question"
            ),
            Operation(
                kind="generate", role="generator", per_row=1, prompt_tokens=600, output_tokens=250, what="an answer"
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
            Operation(kind="judge", role="judge", per_row=1, prompt_tokens=900, output_tokens=10, what="a score"),
            Operation(
                kind="score",
                role="target",
                per_row=2,
                prompt_tokens=300,
                what="a loss with and without the instruction",
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
        operations=(Operation(kind="train", role="target", per_row=1, prompt_tokens=350, what="a training row"),),
    ),
    Stage(
        name="validate",
        title="Validate",
        gates=("held_out_gain",),
        operations=(
            Operation(
                kind="score", role="target", fixed=200, prompt_tokens=350, what="a held-out loss before or after"
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
                fixed=200,
                prompt_tokens=100,
                output_tokens=250,
                what="a closed-book answer before or after",
            ),
            Operation(kind="judge", role="judge", fixed=200, prompt_tokens=900, output_tokens=2, what="a verdict"),
            Operation(
                kind="generate",
                role="target",
                fixed=200,
                prompt_tokens=150,
                output_tokens=150,
                what="a suite answer before or after",
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
