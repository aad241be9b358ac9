"""Losses against numpy: exact to the token, and the same however a batch is cut."""

# pyright: reportUnknownArgumentType=false
# An mlx array as a numpy array has no type.

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from realign_daemon.engine.api import TrainSettings
from realign_daemon.engine.child.dataset import Dataset, Pair, Row, passes, target_tokens
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.losses import dpo_losses, margins, row_logprobs, sft_loss
from realign_daemon.engine.child.objective import Dpo, Sft

ROWS = [
    Row((1, 2, 3), (4, 5, 99)),
    Row((7,), (99,)),
    Row((8, 9, 10, 11, 12, 13, 14), (1, 1, 2, 3, 5, 8, 13, 21, 34, 99)),
]


def oracle(loaded: Loaded, row: Row) -> float:
    """The completion's log-probability by numpy from one unpadded sequence's logits."""
    tokens = [*row.prompt, *row.completion]
    logits = np.array(loaded.network(mx.array([tokens[:-1]]))[0], dtype=np.float64)
    logprobs = (
        logits
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )
    return float(sum(logprobs[place - 1, tokens[place]] for place in range(len(row.prompt), len(tokens))))


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
    dpo = Dpo(loaded.network, data, loaded.vocabulary_size, lambda: None, settings=TrainSettings(beta=0.1))
    chosen, rejected = dpo.reference[PAIRS[0]]
    dpo.reference[PAIRS[0]] = (chosen - 3.0, rejected)
    now = dpo.evaluate()
    assert now.margins == pytest.approx((0.3, 0.0), abs=1e-4)
    assert now.reward_margin == pytest.approx(0.15, abs=1e-4)
    assert now.chosen_logratio == pytest.approx(1.5, abs=1e-4)
    assert now.reward_accuracy in (0.5, 1.0)  # the tie may be off by the last digit


def test_nothing_held_out_means_no_figures(loaded: Loaded) -> None:
    data = Dataset(train=(ROWS[0],), valid=(), replay=())
    assert Sft(loaded.network, data, loaded.vocabulary_size, lambda: None).evaluate().valid_loss is None


def test_passes_keep_the_order_and_fit_the_memory() -> None:
    rows = [Row((1,) * 99, (2,)) for _ in range(10)]
    assert [len(part) for part in passes(rows, 2**26 // 300)] == [3, 3, 3, 1]
    assert [len(part) for part in passes(rows, 2**30)] == [1] * 10
    assert [row for part in passes(rows, 100) for row in part] == rows
