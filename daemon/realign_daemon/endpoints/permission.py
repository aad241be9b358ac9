"""Permission: who may have a node ask a server of their choice. Pure.

A URL makes this machine send requests from where it stands, which may reach what its caller cannot.
"""

from __future__ import annotations

from collections.abc import Collection

from realign_daemon.endpoints.url import read_url
from realign_daemon.trust.roles import Role


def why_not(role: Role, url: str, *, hosts: Collection[str]) -> str:
    """Why a caller of this role may not name this URL, in one sentence; empty when it may.

    The owner and admins may name any; others hosts of the list, each "host" for all its ports or "host:port".

    Raises:
        ValueError: it is no URL.
    """
    place = read_url(url)
    allowed = {host.lower() for host in hosts}
    if role in ("owner", "admin") or allowed & {place.host, f"{place.host}:{place.port}"}:
        return ""
    return (
        f"the role {role!r} may not have this cluster ask {place.authority}: ask an admin to submit the job, or to put "
        "the host into [engine] endpoint_hosts of every node that can lead"
    )
