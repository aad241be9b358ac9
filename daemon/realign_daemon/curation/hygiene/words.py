"""Words: a text as the sequence of words that copies of it have in common, and its runs of n words."""

from __future__ import annotations

from collections.abc import Sequence

from realign_daemon.curation.pairs import normalise

# Marks at the ends of a word that a copy may lack. Others mean something: 5! is no 5, f' is no f, (x) is no x.
EDGES = '.,;:?"“”„«»'


def words(text: str) -> list[str]:
    """The words of a text: compatible characters, case, white space and sentence marks do not count."""
    return [word for part in normalise(text).split() if (word := part.strip(EDGES))]


def runs(of: Sequence[str], n: int) -> set[str]:
    """Every run of n words; of fewer words the one run that they are, of none none."""
    return {" ".join(of[start : start + n]) for start in range(max(len(of) - n + 1, min(len(of), 1)))}
