"""WorkerError: what can go wrong with a call to the worker child, one class for each thing a caller can act on.

WorkerError
├── WorkerDied      the child ended under the call: a poisonous input, or the system ended it
├── WorkerTimeout   the call took too long and its child was killed
└── WorkerRefused   the function raised, nobody registered it, or its data cannot be sent: the same call fails again
"""

from __future__ import annotations


class WorkerError(Exception):
    """A call to the worker child gave no result. The next call gets a fresh child."""


class WorkerDied(WorkerError):
    """The child ended before it answered."""

    def __init__(self, *, function: str, cause: str, last_words: str = "") -> None:
        """`cause` says how it ended; `last_words` are the last lines of its stderr."""
        self.function = function
        self.cause = cause
        self.last_words = last_words
        tail = f"; its last words: {last_words}" if last_words else ""
        super().__init__(f"the worker ended during {function}: {cause}; leave the input out or try once more{tail}")


class WorkerTimeout(WorkerError):
    """The call had not finished at its deadline, so its child was killed."""

    def __init__(self, *, function: str, timeout_s: float) -> None:
        """`timeout_s` is the deadline that the caller gave."""
        self.function = function
        self.timeout_s = timeout_s
        super().__init__(f"{function} did not finish in {timeout_s:g} s and was stopped: give it a smaller input")


class WorkerRefused(WorkerError):
    """The function raised, there is none of that name, or its input or result cannot be sent."""

    def __init__(self, *, function: str, reason: str) -> None:
        """`reason` is the type and text of what the function raised, or says what else was in the way."""
        self.function = function
        self.reason = reason
        super().__init__(f"{function} failed: {reason}")
