"""Dpo: the objective that learns which of two answers is the better one."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, cast

import mlx.core as mx

from realign_daemon.engine.api import TrainSettings
from realign_daemon.engine.child.dataset import Dataset, Example, Pair, Row, passes
from realign_daemon.engine.child.losses import dpo_losses, margins, row_logprobs
from realign_daemon.engine.child.objective import Alive, Evaluation, measure_together
from realign_daemon.engine.child.peers import Peers


class Dpo:
    """Mean over a batch's examples: a pair's DPO loss with its NLL term, a replay row's NLL per token.

    The reference is the policy as it is when this is made, so make it before the first update or give what was
    measured then: the log-probabilities of chosen and rejected of every pair, those held out last.
    """

    def __init__(
        self,
        network: Any,
        data: Dataset,
        vocabulary_size: int,
        alive: Alive,
        *,
        settings: TrainSettings,
        reference: array[float] | None = None,
        peers: Peers | None = None,
    ) -> None:
        """The network is the policy in training; `peers` hold the same."""
        self._network, self._vocabulary_size, self._alive = network, vocabulary_size, alive
        self._peers = peers or Peers()
        self._settings = settings
        self._valid = cast("tuple[Pair, ...]", data.valid)
        pairs = (*cast("tuple[Pair, ...]", data.train), *self._valid)
        self.reference = self._measured(pairs) if reference is None else reference
        self._reference_by_pair = dict(
            zip(pairs, zip(self.reference[::2], self.reference[1::2], strict=True), strict=True)
        )

    def part_loss(self, part: Sequence[Example], *, batch_examples: int, batch_tokens: int) -> mx.array:  # noqa: ARG002 - see Objective
        """See Objective."""
        pairs = [example for example in part if isinstance(example, Pair)]
        rows = [example for example in part if isinstance(example, Row)]
        policy, replayed = self._pair_logprobs(pairs, rows)
        nll = -replayed / mx.array([len(row.completion) for row in rows], dtype=mx.float32)
        return (self._losses(policy, pairs).sum() + nll.sum()) / batch_examples

    def evaluate(self) -> Evaluation:
        """See Objective."""
        losses: list[float] = []
        pair_margins: list[float] = []
        logratios: list[float] = []
        for pairs in passes(self._valid, self._vocabulary_size):
            policy, _ = self._pair_logprobs(pairs)
            reference = self._reference_of(pairs)
            losses += cast("list[float]", self._losses(policy, pairs).tolist())
            pair_margins += cast("list[float]", margins(policy, reference, self._settings.beta).tolist())
            logratios += cast("list[float]", (policy[:, 0] - reference[:, 0]).tolist())
            self._alive()
        if not losses:
            return Evaluation()
        return Evaluation(
            valid_loss=sum(losses) / len(losses),
            reward_accuracy=sum(margin > 0 for margin in pair_margins) / len(losses),
            reward_margin=sum(pair_margins) / len(losses),
            chosen_logratio=sum(logratios) / len(losses),
            margins=tuple(pair_margins),
        )

    def _measured(self, pairs: Sequence[Pair]) -> array[float]:
        return measure_together(
            passes(pairs, self._vocabulary_size),
            lambda some: cast("list[float]", self._pair_logprobs(some)[0].flatten().tolist()),
            lambda some: 2 * len(some),
            peers=self._peers,
            alive=self._alive,
        )

    def _pair_logprobs(self, pairs: Sequence[Pair], rows: Sequence[Row] = ()) -> tuple[mx.array, mx.array]:
        """[pairs, 2] of chosen and rejected, and [rows], from one pass."""
        sequences = [*(pair.chosen for pair in pairs), *(pair.rejected for pair in pairs), *rows]
        logprobs = row_logprobs(self._network, sequences)
        count = len(pairs)
        return mx.stack([logprobs[:count], logprobs[count : 2 * count]], axis=-1), logprobs[2 * count :]

    def _losses(self, policy: mx.array, pairs: Sequence[Pair]) -> mx.array:
        return dpo_losses(
            policy,
            self._reference_of(pairs),
            mx.array([len(pair.chosen.completion) for pair in pairs], dtype=mx.float32),
            beta=self._settings.beta,
            nll_weight=self._settings.nll_weight,
        )

    def _reference_of(self, pairs: Sequence[Pair]) -> mx.array:
        return mx.array([self._reference_by_pair[pair] for pair in pairs], dtype=mx.float32).reshape(-1, 2)
