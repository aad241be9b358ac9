"""Objective: what a training run makes small on a batch, and how it is judged on held-out rows."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import mlx.core as mx

from realign_daemon.engine.child.dataset import Dataset, Example, Row, passes, target_tokens
from realign_daemon.engine.child.losses import row_logprobs, sft_loss
from realign_daemon.engine.child.peers import Peers

_E = TypeVar("_E", bound=Example)
Alive = Callable[[], None]  # called after every pass; what it raises ends the run


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Figures on the valid split; all of them per example. `margins` has an entry for each pair or group, in order."""

    valid_loss: float | None = None
    reward_accuracy: float | None = None
    reward_margin: float | None = None
    chosen_logratio: float | None = None
    margins: tuple[float, ...] = ()


class Objective(Protocol):
    """A batch is given in parts that fit the memory; the parts' losses add up to the batch's."""

    reference: array[float]  # float32: what was computed before the first update, so that it need not be again

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
        self.reference = array("f")

    def part_loss(self, part: Sequence[Example], *, batch_examples: int, batch_tokens: int) -> mx.array:  # noqa: ARG002 - see Objective
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


def measure_together(
    parts: Iterable[Sequence[_E]],
    measure: Callable[[Sequence[_E]], Sequence[float]],
    figures: Callable[[Sequence[_E]], int],
    *,
    peers: Peers,
    alive: Alive,
) -> array[float]:
    """The figures of all parts in order, of which every rank measures some; `figures` says how many a part has."""
    measured = array("f")
    for place, part in enumerate(parts):
        is_mine = place % peers.size == peers.rank
        measured.extend(measure(part) if is_mine else [0.0] * figures(part))
        if place % peers.size == peers.size - 1:  # when every rank has measured one: all of them meet in it
            alive()
    if peers.is_alone:
        return measured
    return array("f", cast("list[float]", peers.sum(mx.array(measured.tolist(), dtype=mx.float32)).tolist()))
