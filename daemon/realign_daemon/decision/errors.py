"""What deciding can fail at. Both belong to the tree in realign_daemon.errors.

Unreachable
└── NoMajority   4  too few voters answered in time: ask again later
InternalFault
└── Diverged     1  one instance was decided twice
"""

from __future__ import annotations

from realign_daemon.errors import InternalFault, Unreachable


class NoMajority(Unreachable):
    """Nothing was decided in time; something may be later, by this node or another."""

    def __init__(self, *, job_id: str, missing: tuple[str, ...]) -> None:
        """`missing`: the voters that did not answer; none when enough did, and would not vote as they were asked."""
        self.job_id = job_id
        self.missing = missing
        cause = (
            f"{', '.join(missing)} did not answer; bring them back, or adopt the job if they are gone for good"
            if missing
            else "others were deciding it too, have not heard of its adoption yet, or have lost their ledger since it "
            "began; try again, and adopt the job if that does not help"
        )
        super().__init__(f"job {job_id} has no majority of its voters: {cause}")


class Diverged(InternalFault):
    """Two values were decided for one instance in one config epoch."""

    def __init__(self, *, held: bytes, other: bytes) -> None:
        """The value that stands here, and the one that came."""
        self.held = held
        self.other = other
        super().__init__(
            f"one end of a job was decided twice, here as {held.decode()} and elsewhere as {other.decode()}; "
            "keep the data directories of all nodes as they are and report this"
        )
