"""The anti-hallucination workflow: what the target model knows, what it does not, and saying so.

Eight samples of the target model a question tell known questions from unknown ones; known ones get a twin that nobody
can answer, which is sampled alike. Figures count a twin for every other question. Equal answers are judged once, which
leaves about half of the samples; the tuned model refuses more, and its answers differ less. A third of the held-out
questions fits the scale of the confidences, the others are asked once more before and after, to see how it behaves.
"""

from __future__ import annotations

from typing import Final

from realign_planner.stage import Operation, Stage
from realign_planner.workflows.yields import HELD_OUT, PROMPT, STEP_ROWS, SUITE_ITEMS, TRAINED

SAMPLES: Final = 8
EPOCHS: Final = 4
QUESTIONS: Final = 1.5 * PROMPT  # for each passage, twins among them
JUDGED: Final = 0.5  # of the samples: .43 of four in the example
JUDGED_AFTER: Final = 0.2  # of those of the tuned model: .20
TESTED: Final = 2 / 3  # of the held-out questions

STAGES: Final = (
    Stage(
        name="refusal_data_generation",
        title="Refusal data generation",
        gates=("text_ratio", "valid_fraction"),
        reports=("known_fraction", "unknown_fraction"),
        pilot=True,
        operations=(
            Operation(
                kind="generate", role="generator", per_passage=1, prompt_tokens=550, output_tokens=60, what="a question"
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
                per_passage=0.25 * PROMPT,
                prompt_tokens=600,
                output_tokens=50,
                what="a question on a false premise",
            ),
            Operation(
                kind="generate",
                role="target",
                per_passage=QUESTIONS,
                samples=SAMPLES,
                prompt_tokens=120,
                output_tokens=12,
                what="a probe",
            ),
            Operation(
                kind="judge",
                role="judge",
                per_passage=QUESTIONS * JUDGED,
                samples=SAMPLES,
                prompt_tokens=500,
                output_tokens=2,
                what="a verdict",
            ),
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
            Operation(
                kind="judge",
                role="target",
                per_passage=QUESTIONS * TRAINED * JUDGED,
                samples=SAMPLES,
                prompt_tokens=150,
                output_tokens=2,
                what="a P(True)",
            ),
        ),
    ),
    Stage(
        name="training",
        title="Training",
        gates=("training_loss",),
        trains=True,
        operations=(
            Operation(
                kind="train",
                role="target",
                per_row=EPOCHS,
                most=STEP_ROWS,
                prompt_tokens=140,
                what="a training row, each time",
            ),
        ),
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
                per_passage=QUESTIONS * HELD_OUT,
                samples=SAMPLES,
                prompt_tokens=120,
                output_tokens=12,
                what="a held-out answer",
            ),
            Operation(
                kind="judge",
                role="judge",
                per_passage=QUESTIONS * HELD_OUT * JUDGED_AFTER,
                samples=SAMPLES,
                prompt_tokens=500,
                output_tokens=2,
                what="a verdict",
            ),
            Operation(
                kind="judge",
                role="target",
                per_passage=QUESTIONS * HELD_OUT * JUDGED_AFTER,
                samples=SAMPLES,
                prompt_tokens=150,
                output_tokens=2,
                what="a P(True)",
            ),
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
                per_passage=2 * QUESTIONS * HELD_OUT * TESTED,
                prompt_tokens=120,
                output_tokens=12,
                what="a held-out answer before or after, of which the judge has seen most",
            ),
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
                fixed=SUITE_ITEMS,
                prompt_tokens=150,
                output_tokens=64,
                what="a suite answer after",
            ),
        ),
    ),
)
