"""Handshake: the names that servers prove under TLS, and what a failed handshake means."""

from __future__ import annotations

DOMAIN = "realign.internal"
MEMBER = f"member.{DOMAIN}"  # any node of the cluster
JOIN = f"join.{DOMAIN}"  # whoever enrols new members

# What gRPC's details have in them (grpcio 1.85.1, each provoked by a test over loopback), and what that means.
_FOREIGN = "what answers at that address belongs to another cluster; check the address, or join that cluster"
_CAUSES = {
    "Hostname Verification Check failed": "what answers at that address is not the node that was meant; its address "
    "may have changed: see `realignctl nodes`",
    "unable to get local issuer certificate": _FOREIGN,
    "self signed certificate": _FOREIGN,
    "certificate has expired": "the certificate of the node at that address has expired; have that node join again "
    "with a new invitation, and look at the clock of this machine",
    "certificate is not yet valid": "the certificate of the node at that address is not valid yet; set the clocks of "
    "both machines",
    "unsupported certificate purpose": "what answers at that address shows a certificate that no node has; "
    "do not trust it",
    "WRONG_VERSION_NUMBER": "the daemon at that address is in no cluster; run `realignctl cluster join` there",
    "Failed to create security handshaker": "this machine's key and its certificate do not belong together; join the "
    "cluster again with a new invitation",
}

# TLS 1.3 tells a client of its refusal only after its own half is done, and gRPC keeps the alert to itself: no
# certificate, a foreign, expired or unfit one, and no TLS at all look the same from here. The other two are what some
# systems say of a connection that is closed while something is on its way.
_CLOSED = ("Socket closed", "Connection reset", "Broken pipe")
_REFUSED = (
    "the node at that address does not accept this machine's certificate: it has none, it has expired, or it is of "
    "another cluster; join the cluster with a new invitation"
)


def server_name(node_id: str) -> str:
    """The name that this node and no other proves. Given as grpc.ssl_target_name_override, as addresses change."""
    return f"{node_id}.node.{DOMAIN}"


def explain_handshake(error_details: str) -> str | None:
    """One sentence for the details of a call that failed as UNAVAILABLE; None when no handshake was at fault.

    Not for calls over a unix socket: there a closed connection means that the daemon went away.
    """
    for mark, meaning in _CAUSES.items():
        if mark in error_details:
            return meaning
    was_reached = error_details.startswith("failed to connect") and "Handshake read failed" not in error_details
    return _REFUSED if was_reached and any(mark in error_details for mark in _CLOSED) else None
