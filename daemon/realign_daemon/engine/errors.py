"""EngineError: what can go wrong with an engine, one class for each thing that a caller can act on.

EngineError
├── EngineDied        the child ended under the task: try again, here or on another node
│   └── NotLoaded     there was no child with the task's model: load it, then try again
├── OutOfMemory       the model does not fit the memory that is free now: plan anew
├── MissingBlob       an adapter or data set is not on this machine: fetch it, then try again
└── BadTask           this task can never work: quarantine it
"""

from __future__ import annotations


class EngineError(Exception):
    """An engine could not give the result."""


class EngineDied(EngineError):
    """The child process ended while the task was in it."""

    def __init__(self, *, model: str, cause: str, last_words: str = "") -> None:
        """`cause` says how it ended; `last_words` are the last lines of its stderr, which hold no task text."""
        self.model = model
        self.cause = cause
        self.last_words = last_words
        tail = f"; its last words: {last_words}" if last_words else ""
        super().__init__(f"the engine of {model or 'no model'} has gone: {cause}; load it and try again{tail}")


class NotLoaded(EngineDied):
    """The engine holds no model, or another one."""

    def __init__(self, *, model: str) -> None:
        """`model` is the id of the model that the task wants."""
        super().__init__(model=model, cause="another model is loaded, or none")


class MissingBlob(EngineError):
    """A file that the task names is not among the blobs of this machine."""

    def __init__(self, *, sha256: str) -> None:
        """`sha256` names the blob."""
        self.sha256 = sha256
        super().__init__(f"blob {sha256} is not on this machine: fetch it, then try the task again")


class OutOfMemory(EngineError):
    """The model needs more memory than is free on this machine now."""

    def __init__(self, *, model: str, needed_bytes: int, free_bytes: int) -> None:
        """Both figures in bytes, measured just before the load."""
        self.model = model
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes
        super().__init__(
            f"{model} needs {needed_bytes / 1e9:.2f} GB and {free_bytes / 1e9:.2f} GB are free on this machine: "
            "close applications, choose fewer bits or a smaller model, or use another node"
        )


class BadTask(EngineError):
    """The task cannot work on any machine with this model; the text says what about it."""
