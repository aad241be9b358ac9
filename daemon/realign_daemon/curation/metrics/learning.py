"""Learning: figures about a model and the rows that it is trained on, from log-probabilities of answers.

A log-probability is the natural one of a whole answer, its end-of-sequence token included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log1p
from statistics import fmean


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLogprobs:
    """What the trained model and its frozen reference give a pair's two answers."""

    policy_chosen: float
    policy_rejected: float
    reference_chosen: float
    reference_rejected: float
    chosen_tokens: int


def reward_margin(pair: PairLogprobs, *, beta: float = 0.1) -> float:
    """r(y+) - r(y-) with r = beta * (log pi - log ref) (DPO, arXiv 2305.18290)."""
    chosen = pair.policy_chosen - pair.reference_chosen
    return beta * (chosen - (pair.policy_rejected - pair.reference_rejected))


def dpo_loss(pair: PairLogprobs, *, beta: float = 0.1, nll_weight: float = 1.0) -> float:
    """-log sigmoid of the margin, plus the weighted NLL per token of the chosen answer (RPO, arXiv 2404.19733).

    Without the second term a small model's task accuracy fell to nothing while its margins rose.
    """
    margin = reward_margin(pair, beta=beta)
    # log(1 + exp(-m)) without overflow for large negative margins
    preference = log1p(exp(-abs(margin))) + max(-margin, 0.0)
    return preference - nll_weight * pair.policy_chosen / pair.chosen_tokens


def reward_accuracy(margins: Sequence[float]) -> float | None:
    """The share of pairs, one by one, whose chosen answer has the higher reward (0 is not higher); None for none."""
    return fmean(margin > 0 for margin in margins) if margins else None


def displacement(pairs: Sequence[PairLogprobs]) -> float | None:
    """Mean of log pi(y+) - log ref(y+): far below 0, the chosen answers were unlearned with the rejected ones."""
    return fmean(pair.policy_chosen - pair.reference_chosen for pair in pairs) if pairs else None


def instruction_following_difficulty(
    *, conditional_logprob: float, conditional_tokens: int, alone_logprob: float, alone_tokens: int
) -> float:
    """Mean token loss of an answer given its question, over that of the answer alone (IFD, arXiv 2308.12032).

    Above 1 the question does not help: a mismatch. Below, higher is more informative; compare within one data set.

    Raises:
        ValueError: no tokens, or an answer that is certain by itself, for which there is no ratio.
    """
    if conditional_tokens < 1 or alone_tokens < 1 or alone_logprob >= 0:
        raise ValueError("the difficulty of an answer without tokens or without loss is undefined")
    return (conditional_logprob / conditional_tokens) / (alone_logprob / alone_tokens)


def paired_changes(before: Sequence[float | None], after: Sequence[float | None]) -> list[float]:
    """After minus before, item by item; give it to the bootstrap for the interval of a regression.

    An item that was not measured (None) before or after is left out.

    Raises:
        ValueError: the two were not measured on the same items.
    """
    pairs = zip(before, after, strict=True)
    return [later - earlier for earlier, later in pairs if earlier is not None and later is not None]
