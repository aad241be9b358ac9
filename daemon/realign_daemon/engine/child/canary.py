"""Canary: texts whose probabilities are known, asked of a model to see whether it still computes what it should."""

from __future__ import annotations

from collections.abc import Sequence

from realign_daemon.engine.api import Score
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.objective import Alive
from realign_daemon.engine.child.score import text_of, token_logprobs


def sing(loaded: Loaded, tasks: Sequence[Score], alive: Alive) -> list[list[float]]:
    """The log-probability of every completion token of every task, ends included, as this very rank finds it.

    Each text goes through alone, so that the figures compare with those of any other group and of a single machine.

    Raises:
        BadTask: a text is longer than the model reads.
    """
    texts = [text_of(task, loaded.vocabulary) for task in tasks]
    found: list[list[float]] = []
    for text in texts:
        found.append(token_logprobs(loaded.own, [text])[0])
        alive()
    return found
