"""Losses against numpy: exact to the token, and the same however a batch is cut."""

# pyright: reportUnknownArgumentType=false
# An mlx array as a numpy array has no type.

from __future__ import annotations

from array import array
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from realign_daemon.engine.api import TrainSettings
from realign_daemon.engine.child.dataset import Dataset, Pair, Rollout, Row, passes, target_tokens
from realign_daemon.engine.child.dpo import Dpo
from realign_daemon.engine.child.grpo import Grpo, group_margins
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.losses import dpo_losses, grpo_losses, margins, row_logprobs, sft_loss
from realign_daemon.engine.child.objective import Sft

ROWS = [
    Row((1, 2, 3), (4, 5, 99)),
    Row((7,), (99,)),
    Row((8, 9, 10, 11, 12, 13, 14), (1, 1, 2, 3, 5, 8, 13, 21, 34, 99)),
]


def token_oracle(loaded: Loaded, row: Row) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The completion's log-probabilities by numpy from one unpadded sequence's logits."""
    tokens = [*row.prompt, *row.completion]
    logits = np.array(loaded.network(mx.array([tokens[:-1]]))[0], dtype=np.float64)
    logits -= logits.max(-1, keepdims=True)
    logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return np.array([logprobs[place - 1, tokens[place]] for place in range(len(row.prompt), len(tokens))])


def oracle(loaded: Loaded, row: Row) -> float:
    return float(token_oracle(loaded, row).sum())


def test_only_completions_count_and_padding_counts_nothing(loaded: Loaded) -> None:
    wanted = [oracle(loaded, row) for row in ROWS]
    np.testing.assert_allclose(np.array(row_logprobs(loaded.network, ROWS)), wanted, atol=1e-4)


def test_the_number_of_target_tokens_is_exact(loaded: Loaded) -> None:
    """A model that finds all 100 tokens equally probable pays log 100 for each target and for nothing else."""

    def indifferent(tokens: mx.array) -> mx.array:
        return mx.zeros((*tokens.shape, 100))

    counted = np.array(row_logprobs(indifferent, ROWS)) / -np.log(100)
    np.testing.assert_allclose(counted, [3, 1, 10], rtol=1e-5)
    assert target_tokens(ROWS) == 14


def test_the_sft_loss_of_a_batch_is_the_mean_over_its_tokens(loaded: Loaded) -> None:
    wanted = -sum(oracle(loaded, row) for row in ROWS) / 14
    assert sft_loss(row_logprobs(loaded.network, ROWS), 14).item() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(("beta", "nll_weight"), [(0.1, 1.0), (0.5, 0.0), (2.0, 0.3)])
def test_dpo_losses_equal_numpy(beta: float, nll_weight: float) -> None:
    chance = np.random.default_rng(3)
    policy, reference = chance.normal(-20, 8, (50, 2)), chance.normal(-20, 8, (50, 2))
    lengths = chance.integers(1, 30, 50)
    margin = beta * ((policy[:, 0] - reference[:, 0]) - (policy[:, 1] - reference[:, 1]))
    wanted = np.log1p(np.exp(-margin)) - nll_weight * policy[:, 0] / lengths
    given = mx.array(policy.astype(np.float32)), mx.array(reference.astype(np.float32))
    np.testing.assert_allclose(np.array(margins(*given, beta)), margin, atol=1e-5, rtol=1e-5)
    losses = dpo_losses(*given, mx.array(lengths.astype(np.float32)), beta=beta, nll_weight=nll_weight)
    np.testing.assert_allclose(np.array(losses), wanted, atol=1e-5, rtol=1e-5)


PAIRS = [Pair(Row((1, 2), (3, 4, 99)), Row((1, 2), (5, 99))), Pair(Row((6,), (7, 99)), Row((6,), (8, 9, 10, 99)))]


def test_a_batch_cut_into_parts_has_the_loss_of_the_whole(loaded: Loaded) -> None:
    data = Dataset(train=tuple(PAIRS), valid=(), replay=(ROWS[0],))
    dpo = Dpo(loaded.network, data, loaded.vocabulary_size, lambda: None, settings=TrainSettings())
    batch = [*PAIRS, ROWS[0]]
    whole = dpo.part_loss(batch, batch_examples=3, batch_tokens=0).item()
    parts = [dpo.part_loss(part, batch_examples=3, batch_tokens=0).item() for part in (batch[:1], batch[1:])]
    assert sum(parts) == pytest.approx(whole, abs=1e-5)
    nll = [-oracle(loaded, pair.chosen) / len(pair.chosen.completion) for pair in PAIRS]
    wanted = (2 * np.log(2) + sum(nll) - oracle(loaded, ROWS[0]) / 3) / 3  # the policy is its own reference: margin 0
    assert whole == pytest.approx(wanted, abs=1e-4)


def test_evaluation_counts_examples_not_batches(loaded: Loaded) -> None:
    """One win and one tie of two are one half: the reference is the policy, but for what is changed below."""
    data = Dataset(train=tuple(PAIRS), valid=tuple(PAIRS), replay=())
    settings = TrainSettings(beta=0.1)
    (chosen, rejected), (tied, other) = ([oracle(loaded, row) for row in (p.chosen, p.rejected)] for p in PAIRS)
    reference = array("f", [chosen - 3.0, rejected, tied, other] * 2)
    now = Dpo(
        loaded.network, data, loaded.vocabulary_size, lambda: None, settings=settings, reference=reference
    ).evaluate()
    assert now.margins == pytest.approx((0.3, 0.0), abs=1e-4)
    assert now.reward_margin == pytest.approx(0.15, abs=1e-4)
    assert now.chosen_logratio == pytest.approx(1.5, abs=1e-4)
    assert now.reward_accuracy in (0.5, 1.0)  # the tie may be off by the last digit


def test_dpo_figures_equal_numpy(loaded: Loaded) -> None:
    """Against a reference that is another policy: loss with its NLL term, accuracy, margins, displacement."""
    data = Dataset(train=tuple(PAIRS), valid=tuple(PAIRS), replay=())
    settings = TrainSettings(beta=0.3, nll_weight=0.7)
    policy = np.array([[oracle(loaded, pair.chosen), oracle(loaded, pair.rejected)] for pair in PAIRS])
    reference = policy + np.array([[-1.5, 2.0], [1.0, -0.5]])
    lengths = np.array([len(pair.chosen.completion) for pair in PAIRS])
    ratios = policy - reference
    margin = 0.3 * (ratios[:, 0] - ratios[:, 1])
    losses = np.log1p(np.exp(-margin)) - 0.7 * policy[:, 0] / lengths
    dpo = Dpo(
        loaded.network,
        data,
        loaded.vocabulary_size,
        lambda: None,
        settings=settings,
        reference=array("f", [*reference.flatten(), *reference.flatten()]),
    )
    now = dpo.evaluate()
    assert now.valid_loss == pytest.approx(losses.mean(), abs=1e-5)
    assert now.reward_accuracy == (margin > 0).mean() == 0.5
    assert now.reward_margin == pytest.approx(margin.mean(), abs=1e-5)
    assert now.chosen_logratio == pytest.approx(ratios[:, 0].mean(), abs=1e-5)
    assert dpo.part_loss(PAIRS, batch_examples=2, batch_tokens=0).item() == pytest.approx(losses.mean(), abs=1e-5)


def grpo_oracle(policy: Any, old: Any, gain: Any, clip: float, weight: float) -> Any:
    ratio = np.exp(policy - old)
    divergence = np.exp(old - policy) - (old - policy) - 1
    return -np.minimum(ratio * gain, np.clip(ratio, 1 - clip, 1 + clip) * gain) + weight * divergence


@pytest.mark.parametrize(("clip_fraction", "kl_weight"), [(0.2, 0.0), (0.1, 0.05), (0.3, 1.0)])
def test_grpo_losses_equal_numpy(clip_fraction: float, kl_weight: float) -> None:
    chance = np.random.default_rng(5)
    policy = chance.normal(-2, 1, (40, 12)).astype(np.float32)
    old = policy + chance.normal(0, 0.4, policy.shape).astype(np.float32)
    gains = chance.normal(0, 1, 40).astype(np.float32)
    losses = grpo_losses(
        mx.array(policy), mx.array(old), mx.array(gains), clip_fraction=clip_fraction, kl_weight=kl_weight
    )
    exact = policy.astype(np.float64), old.astype(np.float64), gains.astype(np.float64)[:, None]
    np.testing.assert_allclose(np.array(losses), grpo_oracle(*exact, clip_fraction, kl_weight), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("gain", "log_ratio", "sign"),
    [
        (1.0, 0.0, -1),  # rewarded: the loss falls as the token becomes more probable
        (-1.0, 0.0, 1),
        (0.0, 0.1, 0),
        (1.0, 0.5, 0),  # gained enough
        (1.0, -0.5, -1),
        (-1.0, -0.5, 0),  # lost enough
        (-1.0, 0.5, 1),
        (1.0, 200.0, 0),  # and no NaN
    ],
)
def test_the_gradient_of_a_token_goes_where_its_advantage_points(gain: float, log_ratio: float, sign: int) -> None:
    def loss(policy: mx.array) -> mx.array:
        return grpo_losses(policy, mx.array([[-3.0]]), mx.array([gain]), clip_fraction=0.2, kl_weight=0.0).sum()

    assert np.sign(mx.grad(loss)(mx.array([[-3.0 + log_ratio]])).item()) == sign


def test_the_divergence_term_pulls_back_to_the_old_policy() -> None:
    def loss(policy: mx.array) -> mx.array:
        return grpo_losses(policy, mx.array([[-3.0]]), mx.array([0.0]), clip_fraction=0.2, kl_weight=0.5).sum()

    slopes = [mx.grad(loss)(mx.array([[at]])).item() for at in (-3.5, -3.0, -2.5)]
    np.testing.assert_allclose(slopes, [0.5 * (1 - np.exp(0.5)), 0, 0.5 * (1 - np.exp(-0.5))], atol=1e-6)


ROLLOUTS = tuple(
    Rollout(row, advantage, group) for row, advantage, group in zip(ROWS, (1.0, -0.5, 2.0), "aab", strict=True)
)


def test_the_grpo_loss_of_a_batch_is_a_mean_over_tokens_however_it_is_cut(loaded: Loaded) -> None:
    data = Dataset(train=ROLLOUTS[:2], valid=ROLLOUTS, replay=(ROWS[2],))
    settings = TrainSettings(kl_weight=0.1)
    start = Grpo(loaded.network, data, loaded.vocabulary_size, lambda: None, settings=settings)
    policy = [token_oracle(loaded, one.row) for one in ROLLOUTS]
    measured = np.concatenate([*policy[:2], *policy])
    np.testing.assert_allclose(np.array(start.reference), measured, atol=1e-4)
    shifts = np.random.default_rng(1).normal(0, 0.3, len(measured))
    old = (measured + shifts).astype(np.float32)
    moved = Grpo(
        loaded.network, data, loaded.vocabulary_size, lambda: None, settings=settings, reference=array("f", old)
    )
    old_rows = np.split(old.astype(np.float64)[4:], [3, 4])  # a row that is in both splits has the later figures
    losses = [
        grpo_oracle(new, before, one.advantage, 0.2, 0.1).sum()
        for one, new, before in zip(ROLLOUTS, policy, old_rows, strict=True)
    ]
    batch = [*ROLLOUTS[:2], ROWS[2]]
    wanted = (sum(losses[:2]) - oracle(loaded, ROWS[2])) / 14
    whole = moved.part_loss(batch, batch_examples=3, batch_tokens=14).item()
    parts = [moved.part_loss([example], batch_examples=3, batch_tokens=14).item() for example in batch]
    assert whole == pytest.approx(wanted, abs=1e-5)
    assert sum(parts) == pytest.approx(wanted, abs=1e-5)
    now = moved.evaluate()
    assert now.valid_loss == pytest.approx(sum(losses) / 14, abs=1e-5)
    ratios = [(new - before).sum() for new, before in zip(policy, old_rows, strict=True)]
    assert now.margins == pytest.approx((ratios[0] - ratios[1],), abs=1e-4)
    assert now.chosen_logratio == pytest.approx((ratios[0] + ratios[2]) / 2, abs=1e-4)


def test_a_group_without_both_kinds_has_no_margin() -> None:
    row = ROWS[0]
    samples = [("a", 1.0), ("a", -1.0), ("a", -1.0), ("b", 1.0), ("c", 0.0), ("c", 2.0), ("c", -2.0)]
    rollouts = [Rollout(row, advantage, group) for group, advantage in samples]
    assert group_margins(rollouts, [3.0, 1.0, 0.0, 9.0, 7.0, 1.0, 4.0]) == (2.5, -3.0)


def test_nothing_held_out_means_no_figures(loaded: Loaded) -> None:
    data = Dataset(train=(ROWS[0],), valid=(), replay=())
    assert Sft(loaded.network, data, loaded.vocabulary_size, lambda: None).evaluate().valid_loss is None


def test_passes_keep_the_order_and_fit_the_memory() -> None:
    rows = [Row((1,) * 99, (2,)) for _ in range(10)]
    assert [len(part) for part in passes(rows, 2**26 // 300)] == [3, 3, 3, 1]
    assert [len(part) for part in passes(rows, 2**30)] == [1] * 10
    assert [row for part in passes(rows, 100) for row in part] == rows
