"""The RLVR workflow: problems whose answer a program can check, with rewards, and a model trained on them.

Eight samples a problem: between the four that show a pass rate at all and the sixteen that show it well. At most four
of them are trained on, once with their rewards and once, as a control, with rewards dealt out by chance. A hundred of
the problems that are not held out are then solved again. Some hundred held-out problems are sampled alike with the
adapters of both; what they gave before was sampled with the others.
"""

from __future__ import annotations

from typing import Final

from realign_planner.stage import Operation, Stage

STAGES: Final = (
    Stage(
        name="problem_extraction",
        title="Problem extraction",
        gates=("text_ratio",),
        reports=("problem_yield",),
        pilot=True,
        operations=(
            Operation(
                kind="generate", role="generator", per_row=1, prompt_tokens=550, output_tokens=120, what="a problem"
            ),
            Operation(
                kind="generate",
                role="generator",
                per_row=1,
                prompt_tokens=550,
                output_tokens=150,
                what="another reading for its answer",
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
                kind="generate", role="target", per_row=8, prompt_tokens=150, output_tokens=400, what="a solution"
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
                kind="train", role="target", per_row=8, prompt_tokens=550, what="a verified solution or its control"
            ),
            Operation(
                kind="generate",
                role="target",
                fixed=800,
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
                fixed=1600,
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
                fixed=200,
                prompt_tokens=150,
                output_tokens=150,
                what="a suite answer before or after",
            ),
        ),
    ),
)
