"""Objective: what a training run makes small on a batch, and how it is judged on held-out rows."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import mlx.core as mx

from realign_daemon.engine.api import TrainSettings
from realign_daemon.engine.child.dataset import Dataset, Example, Pair, Row, passes, target_tokens
from realign_daemon.engine.child.losses import dpo_losses, margins, row_logprobs, sft_loss

Alive = Callable[[], None]  # called after every pass; what it raises ends the run


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Figures on the valid split; all of them per example. `margins` has one entry for each pair, in order."""

    valid_loss: float | None = None
    reward_accuracy: float | None = None
    reward_margin: float | None = None
    chosen_logratio: float | None = None
    margins: tuple[float, ...] = ()


class Objective(Protocol):
    """A batch is given in parts that fit the memory; the parts' losses add up to the batch's."""

    def part_loss(self, part: Sequence[Example], *, batch_examples: int, batch_tokens: int) -> mx.array:
        """What a part adds to the loss of a batch of so many examples and target tokens."""
        ...

    def evaluate(self) -> Evaluation:
        """The figures now; all None when there is nothing held out."""
        ...


class Sft:
    """Mean negative log-likelihood over the target tokens of a batch, replay rows included."""

    def __init__(self, network: Any, data: Dataset, vocabulary_size: int, alive: Alive) -> None:
        """The network is the policy in training."""
        self._network, self._vocabulary_size, self._alive = network, vocabulary_size, alive
        self._valid = cast("tuple[Row, ...]", data.valid)

    def part_loss(self, part: Sequence[Example], *, batch_examples: int, batch_tokens: int) -> mx.array:  # noqa: ARG002
        """See Objective."""
        return sft_loss(row_logprobs(self._network, cast("Sequence[Row]", part)), batch_tokens)

    def evaluate(self) -> Evaluation:
        """See Objective."""
        if not self._valid:
            return Evaluation()
        tokens = target_tokens(self._valid)
        loss = 0.0
        for rows in passes(self._valid, self._vocabulary_size):
            loss += cast("float", sft_loss(row_logprobs(self._network, rows), tokens).item())
            self._alive()
        return Evaluation(valid_loss=loss)


class Dpo:
    """Mean over a batch's examples: a pair's DPO loss with its NLL term, a replay row's NLL per token.

    The reference is the policy as it is when this is made, so make it before the first update.
    """

    def __init__(
        self, network: Any, data: Dataset, vocabulary_size: int, alive: Alive, *, settings: TrainSettings
    ) -> None:
        """The network is the policy in training."""
        self._network, self._vocabulary_size, self._alive = network, vocabulary_size, alive
        self._settings = settings
        self._valid = cast("tuple[Pair, ...]", data.valid)
        self.reference: dict[Pair, tuple[float, float]] = {}
        for pairs in passes((*cast("tuple[Pair, ...]", data.train), *self._valid), vocabulary_size):
            logprobs = cast("list[list[float]]", self._pair_logprobs(pairs)[0].tolist())
            self.reference.update(zip(pairs, ((chosen, rejected) for chosen, rejected in logprobs), strict=True))
            self._alive()

    def part_loss(self, part: Sequence[Example], *, batch_examples: int, batch_tokens: int) -> mx.array:  # noqa: ARG002
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
        return mx.array([self.reference[pair] for pair in pairs], dtype=mx.float32).reshape(-1, 2)
