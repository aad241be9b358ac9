"""The RLVR workflow: problems whose answer a program can check, with rewards, and a model trained on them.

Eight samples a problem: between the four that show a pass rate at all and the sixteen that show it well. At most four
of them are trained on, once with their rewards and once, as a control, with rewards dealt out by chance. A hundred of
the problems that are not held out are then solved again. The held-out problems are sampled alike with the adapters of
both; what they gave before was sampled with the others. Records that are problems already are asked nothing about.
"""

from __future__ import annotations

from typing import Final

from realign_planner.stage import Operation, Stage
from realign_planner.workflows.yields import HELD_OUT, PROMPT, STEP_ROWS, SUITE_ITEMS

SAMPLES: Final = 8
EPOCHS: Final = 3
SOLUTIONS: Final = 4  # of a problem, to train on
SOLVED_AGAIN: Final = 100  # problems

STAGES: Final = (
    Stage(
        name="problem_extraction",
        title="Problem extraction",
        gates=("text_ratio",),
        reports=("problem_yield",),
        pilot=True,
        operations=(
            Operation(
                kind="generate", role="generator", per_passage=1, prompt_tokens=550, output_tokens=120, what="a problem"
            ),
            Operation(
                kind="generate",
                role="generator",
                per_passage=PROMPT,
                prompt_tokens=550,
                output_tokens=150,
                what="another reading for its answer",
            ),
            Operation(
                kind="generate",
                role="target",
                fixed=SUITE_ITEMS,
                prompt_tokens=150,
                output_tokens=64,
                what="a suite answer before",
            ),
        ),
    ),
    Stage(
        name="solution_generation",
        title="Solution generation",
        gates=("valid_fraction", "truncated_fraction", "distinct_fraction"),
        pilot=True,
        operations=(
            Operation(
                kind="generate",
                role="target",
                per_passage=PROMPT,
                samples=SAMPLES,
                prompt_tokens=150,
                output_tokens=400,
                what="a solution",
            ),
        ),
    ),
    Stage(
        name="verification",
        title="Verification",
        gates=("verifiability",),
        pilot=True,
    ),
    Stage(
        name="reward_calculation",
        title="Reward calculation",
        gates=("verifier_false_positives",),
        reports=("band_fraction", "pass_rate"),
        pilot=True,
    ),
    Stage(
        name="training",
        title="Training",
        gates=("training_reward",),
        reports=("reward_before", "reward_after", "training_loss"),
        trains=True,
        operations=(
            Operation(
                kind="train",
                role="target",
                per_row=2 * SOLUTIONS * EPOCHS,
                most=2 * STEP_ROWS,
                trainings=2,
                prompt_tokens=550,
                what="a verified solution or its control, each time",
            ),
            Operation(
                kind="generate",
                role="target",
                fixed=SOLVED_AGAIN,
                samples=SAMPLES,
                prompt_tokens=150,
                output_tokens=400,
                what="a solution after training",
            ),
        ),
    ),
    Stage(
        name="validation",
        title="Validation",
        gates=("gain_over_random",),
        operations=(
            Operation(
                kind="generate",
                role="target",
                per_passage=2 * PROMPT * HELD_OUT,
                samples=SAMPLES,
                prompt_tokens=150,
                output_tokens=400,
                what="a held-out solution, true or random reward",
            ),
        ),
    ),
    Stage(
        name="evaluation",
        title="Evaluation",
        gates=("pass_gain", "regression"),
        reports=("pass_at_1_before", "pass_at_1_after", "pass_at_4_before", "pass_at_4_after"),
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
