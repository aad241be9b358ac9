"""The anti-hallucination workflow: what the target model knows, what it does not, and saying so.

Eight samples of the target model a question tell known questions from unknown ones.
"""

from __future__ import annotations

from typing import Final

from realign_planner.stage import Operation, Stage

STAGES: Final = (
    Stage(
        name="refusal_data_generation",
        title="Refusal data generation",
        gates=("text_ratio", "valid_fraction"),
        reports=("known_fraction", "unknown_fraction"),
        pilot=True,
        operations=(
            Operation(
                kind="generate", role="generator", per_row=1, prompt_tokens=550, output_tokens=60, what="a question"
            ),
            Operation(kind="generate", role="target", per_row=8, prompt_tokens=80, output_tokens=60, what="a probe"),
            Operation(kind="judge", role="judge", per_row=8, prompt_tokens=300, output_tokens=2, what="a verdict"),
        ),
    ),
    Stage(
        name="uncertainty_calibration",
        title="Uncertainty calibration",
        gates=("probed_fraction",),
        reports=("baseline_calibration_error",),
        pilot=True,
    ),
    Stage(
        name="confidence_scoring",
        title="Confidence scoring",
        gates=("auroc",),
        pilot=True,
        operations=(
            Operation(kind="judge", role="target", per_row=1, prompt_tokens=150, output_tokens=2, what="a P(True)"),
        ),
    ),
    Stage(
        name="training",
        title="Training",
        gates=("training_loss",),
        trains=True,
        operations=(Operation(kind="train", role="target", per_row=1, prompt_tokens=140, what="a training row"),),
    ),
    Stage(
        name="calibration",
        title="Calibration",
        gates=("calibration_error",),
        operations=(
            Operation(
                kind="generate", role="target", fixed=1000, prompt_tokens=80, output_tokens=60, what="a held-out answer"
            ),
            Operation(kind="judge", role="judge", fixed=1000, prompt_tokens=300, output_tokens=2, what="a verdict"),
            Operation(kind="judge", role="target", fixed=1000, prompt_tokens=150, output_tokens=2, what="a P(True)"),
        ),
    ),
    Stage(
        name="validation",
        title="Validation",
        gates=("abstention_gain", "over_refusal"),
        operations=(
            Operation(
                kind="generate", role="target", fixed=400, prompt_tokens=100, output_tokens=60, what="a held-out answer"
            ),
            Operation(kind="judge", role="judge", fixed=400, prompt_tokens=300, output_tokens=2, what="a verdict"),
        ),
    ),
    Stage(
        name="evaluation",
        title="Evaluation",
        gates=("wrong_answer_fall", "regression"),
        operations=(
            Operation(
                kind="generate",
                role="target",
                fixed=400,
                prompt_tokens=150,
                output_tokens=100,
                what="an answer before or after",
            ),
            Operation(kind="judge", role="judge", fixed=200, prompt_tokens=300, output_tokens=2, what="a verdict"),
        ),
    ),
)
