"""Why nothing can be verified here. Raised in the worker child; its caller sees WorkerRefused with the text."""

from __future__ import annotations

from realign_daemon.errors import RealignError


class NoSandbox(RealignError):
    """Programs cannot be run in safety here, so none is run."""

    def __init__(self, *, reason: str) -> None:
        """`reason` says what was looked for and what happened."""
        self.reason = reason
        super().__init__(f"no program is run, for there is no sandbox: {reason}")


class NoMathChecker(RealignError):
    """The process that compares formulas does not start."""

    def __init__(self, *, reason: str) -> None:
        """`reason` is how it ended, or that it did not answer."""
        self.reason = reason
        super().__init__(
            f"the process that checks formulas did not start: {reason}; install realign-cluster[node] again"
        )
