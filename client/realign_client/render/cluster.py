"""Who belongs to a cluster, and what was done to it, for a person. Pure."""

from __future__ import annotations

import datetime as dt

from realign_client.render.table import table
from realign_proto.v1 import trust_pb2

KEY_SHOWN = 8  # characters of a key's hash, by which `revoke` tells two members of one name apart


def trust_lines(state: trust_pb2.TrustState) -> list[str]:
    """The cluster and its members."""
    if not state.cluster:
        return ["this daemon is in no cluster; `realignctl cluster invite` founds one"]
    outstanding = f", {state.invitations} invitations outstanding" if state.invitations else ""
    changing = ", the authority is being changed" if len(state.authorities) > 1 else ""
    rows = [
        (
            member.name,
            "witness" if member.witness else member.role,
            member.spki_sha256[:KEY_SHOWN],
            member.node_id or "-",
            _day(member.not_after_unix_s),
            "holds the authority's key" if member.holds_authority else "",
        )
        for member in state.members
    ]
    return [
        f"cluster {state.cluster} ({state.authority_sha256[:KEY_SHOWN]}){outstanding}{changing}",
        *table(("MEMBER", "ROLE", "KEY", "NODE", "CERTIFICATE UNTIL", ""), rows),
    ]


def audit_lines(reply: trust_pb2.AuditReply) -> list[str]:
    """What was done, oldest first, and whether all of it is as it was written."""
    rows = [
        (
            str(line.seq),
            dt.datetime.fromtimestamp(line.at_unix_s).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            line.actor,
            line.role or "-",
            line.method.rpartition("/")[2],
            line.object,
            line.outcome,
        )
        for line in reply.lines
    ]
    verdict = (
        "the chain of lines is unbroken" if reply.unbroken else "THE CHAIN IS BROKEN: lines were changed or cut out"
    )
    return [*table(("LINE", "TIME", "WHO", "ROLE", "DID", "TO", "OUTCOME"), rows, right=(0,)), verdict]


def _day(unix_s: float) -> str:
    return dt.datetime.fromtimestamp(unix_s, dt.UTC).strftime("%Y-%m-%d")
