"""The DPO workflow: pairs of a better and a worse answer to one prompt, and a model trained on them.

Four answers a prompt, each scored once, and the best-worst pair compared in both orders: six judgements a prompt. All
are counted, though equal answers are judged once and make no pair. The picked pair is scored afresh before the gap is
measured, since the best of four noisy scores is too high by chance. What the baseline and the tuned model answer to
held-out prompts is compared in the end.
"""

from __future__ import annotations

from typing import Final

from realign_planner.stage import Operation, Stage
from realign_planner.workflows.yields import HELD_OUT, PAIR, PROMPT, STEP_ROWS, SUITE_ITEMS, TRAINED

BASELINE_EPOCHS: Final = 2
EPOCHS: Final = 10

STAGES: Final = (
    Stage(
        name="sft_baseline",
        title="SFT baseline",
        gates=("text_ratio", "training_loss"),
        trains=True,
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
                per_passage=PROMPT * TRAINED,
                prompt_tokens=600,
                output_tokens=250,
                what="an answer",
            ),
            Operation(
                kind="train",
                role="target",
                per_passage=PROMPT * TRAINED * BASELINE_EPOCHS,
                most=STEP_ROWS,
                prompt_tokens=850,
                what="a baseline training row",
            ),
        ),
    ),
    Stage(
        name="generate_responses",
        title="Generate responses",
        gates=("valid_fraction", "truncated_fraction", "distinct_fraction"),
        pilot=True,
        operations=(
            Operation(
                kind="generate",
                role="target",
                per_passage=4 * PROMPT,
                prompt_tokens=100,
                output_tokens=250,
                what="a response",
            ),
        ),
    ),
    Stage(
        name="score_pairs",
        title="Score pairs",
        gates=("agreement_rate",),
        reports=("pair_yield", "judge_agreement", "judge_kappa"),
        pilot=True,
        operations=(
            Operation(
                kind="judge",
                role="judge",
                per_passage=4 * PROMPT,
                prompt_tokens=900,
                output_tokens=10,
                what="a score",
            ),
            Operation(
                kind="judge",
                role="judge",
                per_passage=2 * PROMPT,
                prompt_tokens=1150,
                output_tokens=2,
                what="a comparison, by order",
            ),
        ),
    ),
    Stage(
        name="validate_gaps",
        title="Validate gaps",
        gates=("preference_gap",),
        reports=("preference_yield", "repetition_stability", "length_bias", "length_correlation"),
        pilot=True,
        operations=(
            Operation(
                kind="judge",
                role="judge",
                per_passage=2 * PROMPT * PAIR,
                prompt_tokens=900,
                output_tokens=10,
                what="a fresh score",
            ),
        ),
    ),
    Stage(
        name="train_dpo",
        title="Train DPO",
        gates=("training_loss", "reward_accuracy", "task_metric"),
        reports=("reward_margin", "displacement"),
        trains=True,
        operations=(
            Operation(
                kind="train",
                role="target",
                per_row=2 * EPOCHS,
                most=2 * STEP_ROWS,
                prompt_tokens=700,
                what="an answer of a training pair, each time",
            ),
            Operation(
                kind="generate",
                role="target",
                per_passage=2 * PROMPT * HELD_OUT,
                prompt_tokens=100,
                output_tokens=250,
                what="a held-out answer before or after",
            ),
            Operation(
                kind="judge",
                role="judge",
                per_passage=2 * PROMPT * HELD_OUT,
                prompt_tokens=900,
                output_tokens=10,
                what="a score before or after",
            ),
        ),
    ),
    Stage(
        name="evaluate",
        title="Evaluate",
        gates=("win_rate",),
        operations=(
            Operation(
                kind="judge",
                role="judge",
                per_passage=2 * PROMPT * HELD_OUT,
                prompt_tokens=1150,
                output_tokens=2,
                what="a comparison, by order",
            ),
        ),
    ),
    Stage(
        name="monitor_regression",
        title="Monitor regression",
        gates=("regression",),
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
