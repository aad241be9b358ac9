"""Computed: what a result says of itself, whatever kind it is."""

from __future__ import annotations

from realign_daemon.engine.api import Fused, Result, Sha256, Trained


def tokens_of(result: Result) -> int:
    """How many were read and written."""
    match result.kind:
        case "generated":
            return result.prompt_tokens + result.completion_tokens
        case "filled":
            return result.prompt_tokens + len(result.probabilities)
        case "scored":
            return result.tokens
        case "trained":
            return result.trained_tokens
        case "rendered":
            return result.prompt_tokens + result.completion_tokens
        case "fused":
            return sum(map(tokens_of, result.answers))


def blobs_of(result: Result) -> tuple[Sha256, ...]:
    """The files that it names."""
    match result:
        case Trained():
            return (result.adapter,)
        case Fused():
            return (result.weights,)
        case _:
            return ()
