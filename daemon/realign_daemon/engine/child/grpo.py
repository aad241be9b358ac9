"""Grpo: the objective that makes rewarded samples more probable and the others less."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate
from statistics import fmean
from typing import Any, cast

import mlx.core as mx

from realign_daemon.engine.api import TrainSettings
from realign_daemon.engine.child.dataset import Dataset, Example, Rollout, Row, passes, target_tokens
from realign_daemon.engine.child.losses import grpo_losses, token_logprobs
from realign_daemon.engine.child.objective import Alive, Evaluation, measure_together
from realign_daemon.engine.child.peers import Peers


class Grpo:
    """Mean over a batch's target tokens: a rollout's clipped policy gradient, a replay row's NLL.

    Every token weighs the same, those of long answers, too (DAPO, arXiv 2503.14476). The old policy is the policy as
    it is when this is made, so make it before the first update or give what was measured then: the log-probability of
    every completion token of every rollout, those held out last.
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
        self._valid = cast("tuple[Rollout, ...]", data.valid)
        rollouts = (*cast("tuple[Rollout, ...]", data.train), *self._valid)
        self.reference = self._measured(rollouts) if reference is None else reference
        ends = accumulate(len(rollout.row.completion) for rollout in rollouts)
        self._old: Mapping[Row, array[float]] = {
            rollout.row: self.reference[end - len(rollout.row.completion) : end]
            for rollout, end in zip(rollouts, ends, strict=True)
        }

    def part_loss(self, part: Sequence[Example], *, batch_examples: int, batch_tokens: int) -> mx.array:  # noqa: ARG002 - see Objective
        """See Objective."""
        rollouts = [example for example in part if isinstance(example, Rollout)]
        rows = [example for example in part if isinstance(example, Row)]
        losses, _, replayed = self._passed(rollouts, rows)
        return (losses.sum() - replayed.sum()) / batch_tokens

    def evaluate(self) -> Evaluation:
        """See Objective. Margins are differences of means of log pi - log old, see `group_margins`."""
        loss = 0.0
        logratios: list[float] = []
        for rollouts in passes(self._valid, self._vocabulary_size):
            losses, changes, _ = self._passed(rollouts)
            loss += cast("float", losses.sum().item())
            logratios += cast("list[float]", changes.tolist())
            self._alive()
        if not logratios:
            return Evaluation()
        gained = [logratio for rollout, logratio in zip(self._valid, logratios, strict=True) if rollout.advantage > 0]
        margins = group_margins(self._valid, logratios)
        return Evaluation(
            valid_loss=loss / target_tokens(self._valid),
            reward_accuracy=fmean(margin > 0 for margin in margins) if margins else None,
            reward_margin=fmean(margins) if margins else None,
            chosen_logratio=fmean(gained) if gained else None,
            margins=margins,
        )

    def _measured(self, rollouts: Sequence[Rollout]) -> array[float]:
        return measure_together(
            passes(rollouts, self._vocabulary_size),
            self._completion_logprobs,
            target_tokens,
            peers=self._peers,
            alive=self._alive,
        )

    def _completion_logprobs(self, rollouts: Sequence[Rollout]) -> list[float]:
        logprobs = cast("list[list[float]]", token_logprobs(self._network, [one.row for one in rollouts])[0].tolist())
        found: list[float] = []
        for rollout, places in zip(rollouts, logprobs, strict=True):
            start = len(rollout.row.prompt) - 1
            found += places[start : start + len(rollout.row.completion)]
        return found

    def _passed(self, rollouts: Sequence[Rollout], rows: Sequence[Row] = ()) -> tuple[mx.array, mx.array, mx.array]:
        """For each rollout its summed loss and log pi - log old, and the rows' log-probabilities, from one pass."""
        logprobs, learned = token_logprobs(self._network, [*(rollout.row for rollout in rollouts), *rows])
        count = len(rollouts)
        policy, old = logprobs[:count], self._old_of(rollouts, logprobs.shape[1])
        losses = grpo_losses(
            policy,
            old,
            mx.array([rollout.advantage for rollout in rollouts], dtype=mx.float32),
            clip_fraction=self._settings.clip_fraction,
            kl_weight=self._settings.kl_weight,
        )
        changes = (policy - old).sum(axis=-1)
        return mx.where(learned[:count], losses, 0.0).sum(axis=-1), changes, logprobs[count:].sum(axis=-1)

    def _old_of(self, rollouts: Sequence[Rollout], places: int) -> mx.array:
        """The old policy's log-probabilities, each at its token's place, [rollouts, places]."""
        padded: list[float] = []
        for rollout in rollouts:
            before = len(rollout.row.prompt) - 1
            after = places - before - len(rollout.row.completion)
            padded += [*[0.0] * before, *self._old[rollout.row], *[0.0] * after]
        return mx.array(padded, dtype=mx.float32).reshape(len(rollouts), places)


def group_margins(rollouts: Sequence[Rollout], logratios: Sequence[float]) -> tuple[float, ...]:
    """Mean figure of the rewarded samples minus that of the others, for each group that has both, in order."""
    groups: dict[str, tuple[list[float], list[float]]] = {}
    for rollout, logratio in zip(rollouts, logratios, strict=True):
        gained, lost = groups.setdefault(rollout.group, ([], []))
        if rollout.advantage:
            (gained if rollout.advantage > 0 else lost).append(logratio)
    return tuple(fmean(gained) - fmean(lost) for gained, lost in groups.values() if gained and lost)
