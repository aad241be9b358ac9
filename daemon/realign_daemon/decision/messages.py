"""Messages: what a proposer asks of an acceptor about one ending of a job, and what that answers."""

from __future__ import annotations

from dataclasses import dataclass

from realign_daemon.decision.ballot import Ballot, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Asks to promise the ballot: to vote in no lower one from now on."""

    job_id: str
    instance: int
    ballot: Ballot


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """Asks to vote for the value in the ballot."""

    job_id: str
    instance: int
    ballot: Ballot
    value: bytes


Request = Prepare | Accept


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What an instance ended in. A person who adopts a job raises the config epoch, and the higher one stands."""

    config_epoch: int
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """The ballot is promised; `vote` is the acceptor's latest in this config epoch."""

    ballot: Ballot
    vote: Vote | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The acceptor voted for the value in this ballot."""

    ballot: Ballot


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A ballot above this one has a chance, once the acceptor has heard of its config epoch."""

    highest: Ballot


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """There is nothing left to ask."""

    decision: Decision


Reply = Promised | Accepted | Refused | Known
