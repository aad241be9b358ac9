"""Caller: on whose behalf a call runs, for the servicers that need to know."""

from __future__ import annotations

from contextvars import ContextVar

from realign_daemon.errors import NotAllowed
from realign_daemon.trust.principal import OWNER, Principal
from realign_daemon.trust.roles import job_denial

# Set by Authorisation in the task of each call. What runs outside of a call is this machine's own doing.
CALLER: ContextVar[Principal] = ContextVar("CALLER", default=OWNER)


def caller() -> Principal:
    """Whose rights the call at hand is judged by: for one that a node passed on, the rights of the one it came from."""
    return CALLER.get()


def must_be(node: str) -> None:
    """Raises NotAllowed when the caller has proved to be another node. Where there are no certificates nobody has."""
    proved = caller().node_id
    if proved is not None and proved != node:
        raise NotAllowed(f"node {proved} may not speak as node {node}; its realign is damaged, or somebody tampers")


def may_not(method: str, owner: str) -> str | None:
    """Why the caller may not see this of a job of that owner; None when it may. A call about one job needs no word."""
    who = caller()
    return job_denial(who.role, who.key, method, owner)
