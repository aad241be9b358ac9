"""Yields: which part of a job's passages comes how far, for the counts of units in its plan.

Of whole runs of the four examples in this repository with the pocket model (seed 0, 2026-11-23), rounded: what other
documents and models give differs, which a pilot shows.
"""

from __future__ import annotations

from typing import Final

PROMPT: Final = 0.9  # of the passages give a prompt: .91, .91, 1 and 1
HELD_OUT: Final = 0.35  # of the prompts are held out, in whole sections: .33, .33, .30 and .43
TRAINED: Final = 1 - HELD_OUT
PAIR: Final = 0.7  # of the prompts give a preference pair: .69
GOOD: Final = 0.75  # of the answers are judged worth learning: .77

SUITE_ITEMS: Final = 190  # asked before and after training: those of the standard suites
STEP_ROWS: Final = 1600  # that a training goes over at most: 200 steps of 8, as the standard template set has them
