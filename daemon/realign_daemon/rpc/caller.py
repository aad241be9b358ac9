"""Caller: on whose behalf a call runs, for the servicers that need to know."""

from __future__ import annotations

from contextvars import ContextVar

from realign_daemon.trust.principal import OWNER, Principal

# Set by Authorisation in the task of each call. What runs outside of a call is this machine's own doing.
CALLER: ContextVar[Principal] = ContextVar("CALLER", default=OWNER)


def caller() -> Principal:
    """Whose rights the call at hand is judged by: for one that a node passed on, the rights of the one it came from."""
    return CALLER.get()
