"""The anti-hallucination workflow: what the target model knows, what it does not, and saying so.

Eight samples of the target model a question tell known questions from unknown ones; known ones get a twin that nobody
can answer, which is sampled alike. Figures count a twin for every other question. Equal answers are judged once, so
judgements are fewer than samples: about half, counted in full here. The last two stages share their held-out answers.
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
            Operation(
                kind="generate",
                role="generator",
                per_row=0.25,
                prompt_tokens=600,
                output_tokens=50,
                what="a question on a false premise",
            ),
            Operation(kind="generate", role="target", per_row=12, prompt_tokens=120, output_tokens=12, what="a probe"),
            Operation(kind="judge", role="judge", per_row=12, prompt_tokens=500, output_tokens=2, what="a verdict"),
        ),
    ),
    Stage(
        name="uncertainty_calibration",
        title="Uncertainty calibration",
        gates=("probed_fraction",),
        reports=("baseline_calibration_error", "baseline_brier", "baseline_auroc"),
        pilot=True,
    ),
    Stage(
        name="confidence_scoring",
        title="Confidence scoring",
        gates=("auroc",),
        reports=("auroc_probability", "auroc_p_true", "auroc_agreement"),
        pilot=True,
        operations=(
            Operation(kind="judge", role="target", per_row=8, prompt_tokens=150, output_tokens=2, what="a P(True)"),
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
        gates=("calibration_error", "auroc_after"),
        reports=("unscaled_calibration_error", "brier", "answered_fraction"),
        operations=(
            Operation(
                kind="generate",
                role="target",
                fixed=1500,
                prompt_tokens=120,
                output_tokens=12,
                what="a held-out answer",
            ),
            Operation(kind="judge", role="judge", fixed=1500, prompt_tokens=500, output_tokens=2, what="a verdict"),
            Operation(kind="judge", role="target", fixed=1500, prompt_tokens=150, output_tokens=2, what="a P(True)"),
        ),
    ),
    Stage(
        name="validation",
        title="Validation",
        gates=("abstention_gain", "over_refusal"),
        reports=(
            "abstention_50_before",
            "abstention_50_after",
            "abstention_75_before",
            "abstention_75_after",
            "abstention_90_before",
            "abstention_90_after",
            "refusal_precision",
            "refusal_recall",
        ),
        operations=(
            Operation(
                kind="generate",
                role="target",
                fixed=400,
                prompt_tokens=120,
                output_tokens=12,
                what="a held-out answer before or after",
            ),
            Operation(kind="judge", role="judge", fixed=400, prompt_tokens=500, output_tokens=2, what="a verdict"),
        ),
    ),
    Stage(
        name="evaluation",
        title="Evaluation",
        gates=("wrong_answer_fall", "regression"),
        reports=(
            "right_before",
            "right_after",
            "wrong_before",
            "wrong_after",
            "not_attempted_before",
            "not_attempted_after",
        ),
        operations=(
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
)
