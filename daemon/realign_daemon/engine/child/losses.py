"""Loss: what training makes small. Exact to the token, and the same however a batch is cut into passes."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from mlx import nn

from realign_daemon.engine.child.dataset import Row

# Rows are padded to a multiple of this, so that few shapes occur and buffers are used again.
_PAD_TO = 8
_MAX_LOG_RATIO = 20.0  # an exponential that overflows would make gradients NaN; e^20 is beyond any clip


def token_logprobs(model: Any, rows: Sequence[Row]) -> tuple[mx.array, mx.array]:
    """Log-probability of every completion token at its place, else 0; and whether one is there. [rows, places] both.

    Place p is that of token p + 1 of a row. Rows are padded on the right without a cache: causal attention keeps
    padding out of what comes before it.
    """
    lengths = [len(row.prompt) + len(row.completion) for row in rows]
    width = -(-max(lengths) // _PAD_TO) * _PAD_TO
    padded = [
        [*row.prompt, *row.completion, *[0] * (width - length)] for row, length in zip(rows, lengths, strict=True)
    ]
    tokens, ends = mx.array(padded), mx.array(lengths)[:, None]
    starts = mx.array([len(row.prompt) for row in rows])[:, None]
    logits = model(tokens[:, :-1]).astype(mx.float32)
    targets = tokens[:, 1:, None]
    logprobs = mx.take_along_axis(logits, targets, axis=-1).squeeze(-1) - mx.logsumexp(logits, axis=-1)
    places = mx.arange(1, width)[None, :]  # the place of each target in its row
    learned = (places >= starts) & (places < ends)
    return mx.where(learned, logprobs, 0.0), learned


def row_logprobs(model: Any, rows: Sequence[Row]) -> mx.array:
    """Summed log-probability of every row's completion, [rows]; prompts and padding count nothing."""
    return token_logprobs(model, rows)[0].sum(axis=-1)


def sft_loss(logprobs: mx.array, batch_tokens: int) -> mx.array:
    """These rows' part of the mean negative log-likelihood per target token of a batch."""
    return -logprobs.sum() / batch_tokens


def margins(policy: mx.array, reference: mx.array, beta: float) -> mx.array:
    """Reward margins r(y+) - r(y-), [pairs], with r = beta * (log pi - log ref) (DPO, arXiv 2305.18290).

    Both arguments are log-probabilities of chosen and rejected, [pairs, 2].
    """
    rewards = beta * (policy - reference)
    return rewards[:, 0] - rewards[:, 1]


def dpo_losses(
    policy: mx.array, reference: mx.array, chosen_lengths: mx.array, *, beta: float, nll_weight: float
) -> mx.array:
    """Loss of every pair, [pairs]: -log sigmoid(margin) plus the weighted NLL per token of the chosen answer.

    The second term is that of iterative RPO (arXiv 2404.19733): without it the chosen answer, too, grows improbable.
    """
    return -nn.log_sigmoid(margins(policy, reference, beta)) - nll_weight * policy[:, 0] / chosen_lengths


def grpo_losses(
    policy: mx.array, old: mx.array, advantages: mx.array, *, clip_fraction: float, kl_weight: float
) -> mx.array:
    """Loss of every token, [rows, places], from log-probabilities of that shape and an advantage for each row.

    The clipped ratio of PPO (arXiv 1707.06347) with the advantage of GRPO (arXiv 2402.03300): beyond `clip_fraction` a
    token has no gradient for what it has gained already. To this comes the weighted divergence from the old policy by
    the estimator ratio - 1 - log ratio of old to new, which is never negative (k3; joschu.net/blog/kl-approx.html).
    """
    change = mx.clip(policy - old, -_MAX_LOG_RATIO, _MAX_LOG_RATIO)
    ratio, gain = mx.exp(change), advantages[:, None]
    clipped = mx.clip(ratio, 1 - clip_fraction, 1 + clip_fraction)
    divergence = mx.exp(-change) - 1 + change
    return kl_weight * divergence - mx.minimum(ratio * gain, clipped * gain)
