"""Door: who comes in where, and what they may do there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from realign_daemon.clock import Clock
from realign_daemon.rpc.context import Context
from realign_daemon.trust.members import Members
from realign_daemon.trust.principal import OWNER, Principal, Refusal
from realign_daemon.trust.roles import denial

ON_BEHALF = "realign-on-behalf"  # metadata by which a node has a call judged by somebody else's rights

# Whoever gets to a listener without certificates has the rights of an admin and of a node: no more can be told apart.
# What only the owner may do stays on the unix socket.
ANYBODY = Principal(kind="owner", role="admin", name="anybody without a certificate")


class Door(Protocol):
    """One of the daemon's listeners."""

    def principal(self, context: Context) -> Principal | Refusal:
        """Who makes the call, or why nobody that counts. Cheap: it is asked again with every message of a stream."""
        ...

    def denial(self, principal: Principal, method: str) -> str | None:
        """Why the caller may not call the method; None when it may."""
        ...


class OwnersDoor:
    """The unix socket of mode 0600."""

    def principal(self, context: Context) -> Principal | Refusal:  # noqa: ARG002 - the same for every call
        """See Door."""
        return OWNER

    def denial(self, principal: Principal, method: str) -> str | None:
        """See Door."""
        return denial(principal.role, method)


class OpenDoor:
    """A listener without certificates: on loopback, or where the owner said --insecure-lan."""

    def principal(self, context: Context) -> Principal | Refusal:  # noqa: ARG002 - the same for every call
        """See Door. What a caller says of itself is not looked at: nothing vouches for it."""
        return ANYBODY

    def denial(self, principal: Principal, method: str) -> str | None:
        """See Door."""
        return None if denial("node", method) is None else denial(principal.role, method)


class MembersDoor:
    """The listener of a cluster's node: TLS let nobody through without a certificate of the cluster's authority."""

    def __init__(self, members: Callable[[], Members], clock: Clock) -> None:
        self._members = members
        self._clock = clock

    def principal(self, context: Context) -> Principal | Refusal:
        """See Door."""
        shown = context.auth_context().get("x509_pem_cert", ())
        pem = next(iter(shown), None)
        if pem is None:
            return Refusal(reason="no certificate was shown; join the cluster with an invitation")
        members = self._members()
        caller = members.principal(bytes(pem), now_unix_s=self._clock.unix())
        if isinstance(caller, Refusal):
            return caller
        for key, value in context.invocation_metadata() or ():
            if key == ON_BEHALF:
                return members.on_behalf(caller, value if isinstance(value, str) else "")
        return caller

    def denial(self, principal: Principal, method: str) -> str | None:
        """See Door."""
        return denial(principal.role, method)
