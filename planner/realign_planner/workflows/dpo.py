"""The DPO workflow: pairs of a better and a worse answer to one prompt, and a model trained on them.

Four answers a prompt, each scored once, and the best-worst pair compared in both orders: six judgements a prompt. The
picked pair is scored afresh before the gap is measured, since the best of four noisy scores is too high by chance.
"""

from __future__ import annotations

from typing import Final

from realign_planner.stage import Operation, Stage

STAGES: Final = (
    Stage(
        name="sft_baseline",
        title="SFT baseline",
        gates=("text_ratio", "training_loss"),
        trains=True,
        pilot=True,
        operations=(
            Operation(
                kind="generate", role="generator", per_row=1, prompt_tokens=550, output_tokens=50, what="a question"
            ),
            Operation(
                kind="generate", role="generator", per_row=1, prompt_tokens=600, output_tokens=250, what="an answer"
            ),
            Operation(kind="train", role="target", per_row=1, prompt_tokens=850, what="a baseline training row"),
        ),
    ),
    Stage(
        name="generate_responses",
        title="Generate responses",
        gates=("valid_fraction", "truncated_fraction", "distinct_fraction"),
        pilot=True,
        operations=(
            Operation(
                kind="generate", role="target", per_row=4, prompt_tokens=100, output_tokens=250, what="a response"
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
            Operation(kind="judge", role="judge", per_row=4, prompt_tokens=900, output_tokens=10, what="a score"),
            Operation(
                kind="judge",
                role="judge",
                per_row=2,
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
            Operation(kind="judge", role="judge", per_row=2, prompt_tokens=900, output_tokens=10, what="a fresh score"),
        ),
    ),
    Stage(
        name="train_dpo",
        title="Train DPO",
        gates=("training_loss", "reward_accuracy", "task_metric"),
        reports=("reward_margin", "displacement"),
        trains=True,
        operations=(
            Operation(kind="score", role="target", per_row=2, prompt_tokens=350, what="a reference log-probability"),
            Operation(kind="train", role="target", per_row=1, prompt_tokens=700, what="a training pair"),
            Operation(
                kind="generate",
                role="target",
                fixed=200,
                prompt_tokens=100,
                output_tokens=250,
                what="a held-out answer before or after",
            ),
            Operation(
                kind="judge",
                role="judge",
                fixed=200,
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
                fixed=200,
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
                fixed=200,
                prompt_tokens=150,
                output_tokens=150,
                what="a suite answer before or after",
            ),
        ),
    ),
)
