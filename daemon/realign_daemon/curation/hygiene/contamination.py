"""Contamination: how much of an evaluation item a text contains. Runs in the worker child."""

from __future__ import annotations

from collections import Counter, defaultdict

from realign_daemon.curation.hygiene.words import runs, words

# Own choice: a shorter item ("the capital of France") is found in innocent texts, so it must be a line of its own.
WHOLE_LINE_BELOW_WORDS = 5


def contained(texts: list[str], evaluation: list[str], n: int) -> list[float]:
    """For each text the greatest share of an evaluation item's runs of n words that it contains, 0..1.

    An item of fewer words counts as a single run. One of fewer than WHOLE_LINE_BELOW_WORDS counts only where it is the
    whole text or a whole line of it.
    """
    items = [words(item) for item in evaluation]
    short = {" ".join(item) for item in items if 0 < len(item) < WHOLE_LINE_BELOW_WORDS}
    sizes: list[int] = []
    lengths: set[int] = set()
    holders: dict[str, list[int]] = defaultdict(list)  # a run -> the items that have it
    for item in items:
        if len(item) >= WHOLE_LINE_BELOW_WORDS:
            its_runs = runs(item, n)
            for run in its_runs:
                holders[run].append(len(sizes))
            sizes.append(len(its_runs))
            lengths.add(min(n, len(item)))
    return [
        1.0
        if short and any(" ".join(words(line)) in short for line in (text, *text.splitlines()))
        else _greatest_share(words(text), lengths, holders, sizes)
        for text in texts
    ]


def _greatest_share(text: list[str], lengths: set[int], holders: dict[str, list[int]], sizes: list[int]) -> float:
    there = {run for length in lengths for run in runs(text, length)}
    hits = Counter(item for run in there for item in holders.get(run, ()))
    return max((count / sizes[item] for item, count in hits.items()), default=0.0)
