"""Pair: the best- and the worst-rated response to one prompt."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from realign_daemon.curation.material import Rated


def normalise(text: str) -> str:
    """The text for telling responses apart: compatible characters, case and white space do not count."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def best_and_worst(responses: Iterable[Rated]) -> tuple[Rated, Rated] | None:
    """The best response of one prompt, and the worst of those with another text; None when all texts are the same.

    Texts are compared normalised. Equally rated responses are told apart by their texts, so that their order does not
    matter: the first in the alphabet counts as the better one. The two may be rated alike.
    """
    ordered = _from_best(list(responses))
    if not ordered:
        return None
    best = ordered[0]
    others = [one for one in ordered if normalise(one.response.text) != normalise(best.response.text)]
    return (best, others[-1]) if others else None


def _from_best(responses: Sequence[Rated]) -> list[Rated]:
    def key(one: Rated) -> tuple[float, str, str, int]:
        return -one.quality, normalise(one.response.text), one.response.text, one.response.seed

    return sorted(responses, key=key)
