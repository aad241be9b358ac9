"""EngineError: what can go wrong with an engine, one class for each thing that a caller can act on.

EngineError
├── EngineDied        the child ended under the task: try again, here or on another node
│   ├── NotLoaded     there was no child with the task's model: load it, then try again
│   ├── EndpointGone  a server that is not ours gives no answers: its tasks are not to blame
│   └── GroupDied     several nodes held the model, and one of them failed: another plan is needed
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


class EndpointGone(EngineDied):
    """The server that a model is asked for at gives no answers, or none of that model. No task is to blame."""

    def __init__(self, *, model: str, endpoint: str, cause: str) -> None:
        """`cause` goes on after the URL and says what the server does."""
        super().__init__(model=model, cause=f"{endpoint} {cause}")
        self.endpoint = endpoint

    def __str__(self) -> str:
        """For people who can look after the server."""
        return f"{self.model} cannot be asked: {self.cause}; it is tried again"


class GroupDied(EngineDied):
    """The nodes that were to hold a model together do so no more, or never did. No task is to blame."""

    def __init__(
        self,
        *,
        model: str,
        group: str,
        lost: tuple[str, ...],
        cause: str,
        thrown_away: int = 0,
        worked: bool = False,
    ) -> None:
        """`lost` are the ids of the nodes that failed; `thrown_away` counts results that may have been wrong.

        `worked` says whether the group had given good results before.
        """
        super().__init__(model=model, cause=cause)
        self.group = group  # the attempt's name
        self.lost = lost
        self.thrown_away = thrown_away
        self.worked = worked


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
