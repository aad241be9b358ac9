"""RealignError: what the daemon refuses or fails at, one class for each thing that a caller can act on.

    RealignError
    ├── BadInput          2  the request, a file or a setting is wrong: change it
    │   ├── BadConfig     2  a setting of this daemon is wrong
    │   └── NotFound      2  no such job, model or node
    ├── WrongState        2  the job is not in a state that allows this
    ├── NothingFits       1  no plan on these machines
    ├── HubUnreachable    1  the model hub does not answer
    ├── Full              1  disk or queue is full: try later
    ├── Damaged           1  stored bytes are not what they should be
    │   └── DamagedBlob
    ├── DirectoryInUse    1  another daemon runs on this data directory
    ├── LedgerTooNew      1  a newer realign wrote this ledger
    ├── DiskFailed        1  the disk under the ledger fails: the daemon ends
    ├── InternalFault     1  a broken promise of the program itself
    ├── BlockedByGate     3  a quality gate holds the job
    ├── NotAllowed        4  this caller may not do this
    ├── Incompatible      4  another cluster, or no common protocol version
    ├── Unreachable       4  a node does not answer
    └── Ambiguous         5  the request means two things and nobody can be asked

The figure is the exit code for the shell. The text of every error is one sentence: what happened, to what, what to do.
"""

from __future__ import annotations

from typing import ClassVar


class RealignError(Exception):
    """Something the user of the cluster can understand; `str` gives the sentence."""

    exit_code: ClassVar[int] = 1


class BadInput(RealignError):
    """The request or a file in it is wrong."""

    exit_code = 2


class BadConfig(BadInput):
    """A setting of this daemon is wrong; the text names it and where it came from."""


class NotFound(BadInput):
    """No such job, model or node."""


class WrongState(RealignError):
    """The job is not in a state that allows this."""

    exit_code = 2


class NothingFits(RealignError):
    """No plan on these machines; the text names the nearest thing that would fit."""


class HubUnreachable(RealignError):
    """The model hub does not answer, or may not be asked."""


class Full(RealignError):
    """Disk or queue is full."""


class Damaged(RealignError):
    """Stored or received bytes are not what they should be."""


class DamagedBlob(Damaged):
    """A blob's bytes do not have the hash that is its name."""

    def __init__(self, *, sha256: str) -> None:
        """`sha256` is the name of the blob, hex."""
        self.sha256 = sha256
        super().__init__(f"the stored bytes of {sha256[:12]} are damaged; send the file again")


class DirectoryInUse(RealignError):
    """Another daemon runs on this data directory."""


class LedgerTooNew(RealignError):
    """A newer realign wrote this ledger."""

    def __init__(self, *, path: str, found: int, known: int) -> None:
        """`found` and `known` are schema versions."""
        self.path = path
        self.found = found
        self.known = known
        super().__init__(
            f"{path} was written by a newer realign (schema {found}, this version knows {known}); upgrade realign"
        )


class DiskFailed(RealignError):
    """The disk under the ledger can't be relied on. The daemon ends: it must promise nothing more."""

    def __init__(self, *, path: str, reason: str) -> None:
        """`reason` is SQLite's."""
        self.path = path
        super().__init__(
            f"{path} can't be read or written ({reason}): realignd stops, lest it promise what may be lost; "
            "check the disk, then start it again"
        )


class InternalFault(RealignError):
    """A broken promise of the program itself; the daemon's log has the details."""


class BlockedByGate(RealignError):
    """A quality gate holds the job."""

    exit_code = 3


class NotAllowed(RealignError):
    """This caller may not do this."""

    exit_code = 4


class Incompatible(RealignError):
    """The other side belongs to another cluster, or speaks no protocol version that this one speaks."""

    exit_code = 4


class Unreachable(RealignError):
    """A node, or the whole cluster, does not answer."""

    exit_code = 4


class Ambiguous(RealignError):
    """The request means two things and nobody can be asked."""

    exit_code = 5
