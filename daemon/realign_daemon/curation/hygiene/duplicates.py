"""Duplicates: which texts repeat an earlier one, word for word or nearly. Runs in the worker child."""

# pyright: reportAttributeAccessIssue=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false
# rensa is untyped.

from __future__ import annotations

import re
from collections.abc import Sequence

from rensa import RMinHash, RMinHashLSH

from realign_daemon.curation.hygiene.words import runs, words
from realign_daemon.curation.pairs import normalise

PERMUTATIONS = 128  # 128 hashes estimate a Jaccard similarity to about 0.04; only candidates depend on the estimate
SHINGLE_WORDS = 3  # own choice for texts of a few dozen words; web-scale work takes 5 and more
# Own choice: in fewer words, one that differs is what the text is about.
EXACT_BELOW_WORDS = 6
MISS_CHANCE = 1e-3  # at most, that a pair just at the threshold never becomes a candidate
_SEED = 1
_NUMBER = re.compile(r"\d+")


def duplicates(texts: list[str], threshold: float, groups: Sequence[int] = ()) -> list[int]:
    """For each text the index of the earlier text that it repeats, -1 for one that is new; what is repeated is new.

    A text repeats another when both are the same normalised, or the Jaccard similarity of their runs of three words
    is at least the threshold. Texts whose numbers differ never do, for a question with other numbers has another
    answer; nor do texts of different groups, when groups are given.

    Raises:
        ValueError: the threshold is outside 0..1, or 0.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"texts cannot be {threshold:g} alike: give a similarity above 0 and up to 1")
    rows = _rows_per_band(threshold)
    candidates = RMinHashLSH(threshold, PERMUTATIONS, PERMUTATIONS // rows)
    first: dict[tuple[int, str], int] = {}
    found: list[int] = []
    for index, text in enumerate(texts):
        group = groups[index] if groups else 0
        earlier = first.setdefault((group, normalise(text)), index)
        if earlier != index:
            found.append(earlier if found[earlier] < 0 else found[earlier])
            continue
        split = words(text)
        if len(split) < EXACT_BELOW_WORDS:
            found.append(-1)
            continue
        shingles = runs(split, SHINGLE_WORDS)
        sketch = RMinHash(PERMUTATIONS, _SEED)
        sketch.update(sorted(f"{group} {run}" for run in shingles))  # so that other groups are no candidates
        near = sorted(other for other in candidates.query(sketch) if not groups or groups[other] == group)
        found.append(next((other for other in near if _is_near(text, shingles, texts[other], threshold)), -1))
        if found[index] < 0:
            candidates.insert(index, sketch)
    return found


def _is_near(text: str, shingles: set[str], other: str, threshold: float) -> bool:
    theirs = runs(words(other), SHINGLE_WORDS)
    similarity = len(shingles & theirs) / len(shingles | theirs)
    return similarity >= threshold and _NUMBER.findall(text) == _NUMBER.findall(other)


def _rows_per_band(threshold: float) -> int:
    """The most hashes to a band at which a pair at the threshold is still missed by MISS_CHANCE at most."""
    for rows in (8, 4, 2):
        if (1 - threshold**rows) ** (PERMUTATIONS // rows) <= MISS_CHANCE:
            return rows
    return 1
