"""Result: what checking one answer can end in."""

from __future__ import annotations

from typing import Literal, TypedDict

# gold_unparseable: the reference answer, or the tests, cannot be read: nothing is said about the answer.
# verifier_error: the check itself failed. timeout: it was stopped from outside, and its process with it.
Result = Literal["correct", "wrong", "gold_unparseable", "verifier_error", "timeout"]


class Checkability(TypedDict):
    """Whether a program can tell right from wrong here, and if not, why; plain data for the pipe."""

    checkable: bool
    reason: str
