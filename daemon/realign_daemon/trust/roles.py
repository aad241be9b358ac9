"""Role: what kind of member a caller is, and which methods each may call. What no row allows is denied."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

MemberRole = Literal["node", "submit", "read", "admin"]  # what an invitation can be for
Role = Literal["owner", "node", "submit", "read", "admin"]  # owner: whoever calls over the unix socket

_V1 = "/realign.v1."
_NOBODY: frozenset[Role] = frozenset()
_OWNER: frozenset[Role] = frozenset({"owner"})
_NODES: frozenset[Role] = frozenset({"node"})
_MEMBERS: frozenset[Role] = frozenset({"node", "submit", "read", "admin"})
_ADMINS: frozenset[Role] = frozenset({"owner", "admin"})
_SUBMITTERS: frozenset[Role] = frozenset({"owner", "admin", "submit"})
_READERS: frozenset[Role] = frozenset({"owner", "admin", "submit", "read"})
_ALL: frozenset[Role] = _READERS | _NODES

# Full method name -> who may call it. A node that passes a call on does so with its caller's rights; those of `node`
# here are for what daemons say to each other. Reading rows is not for `read`: they hold what the sources say.
ALLOWED: Mapping[str, frozenset[Role]] = MappingProxyType(
    {_V1 + method: roles for roles, methods in (
        (_NODES, (
            "Cluster/Hello", "Cluster/Heartbeat", "Cluster/Measure", "Cluster/Echo",
            "Work/Attend", "Work/FetchBlob", "Files/TakeIn",
            "Journal/Follow", "Journal/Fetch", "Journal/Compare",
            "Groups/Serve", "Decision/Prepare", "Decision/Accept", "Housekeeping/ListReferences",
            "Models/DescribeModel", "Models/ReadModelFile",
        )),
        (_SUBMITTERS, (
            "Curation/Submit", "Curation/Plan", "Curation/CancelJob", "Curation/PauseJob", "Curation/ResumeJob",
            "Curation/RetryJob", "Curation/SampleRows", "Curation/ExplainRow", "Curation/DropRows",
            "Curation/FetchOutput", "Curation/ListOutput", "Curation/RemoveJob",
        )),
        (_SUBMITTERS, ("Files/HasBlobs", "Files/Upload")),
        (_SUBMITTERS | _NODES, ("Curation/ListQuestions",)),  # a home asks another one for the job it appends to
        (_READERS, ("Curation/GetJob", "Curation/ListJobs", "Curation/WatchJob")),
        (_ALL, ("Status/GetStatus", "Trust/GetTrust", "Models/ListModels")),
        (_ADMINS | _NODES, ("Models/PullModel",)),  # a home has the nodes of a job's plan fetch its models
        (_ADMINS, (
            "Status/Bench", "Host/PauseNode", "Host/ResumeNode", "Trust/Invite", "Trust/Revoke", "Trust/RemoveDead",
            "Trust/RotateAuthority", "Trust/Transfer", "Trust/ReadAudit",
            "Curation/AdoptJob", "Housekeeping/FindGarbage", "Housekeeping/CollectGarbage", "Housekeeping/DescribeNode",
            "Models/RemoveModel",
        )),
        (_OWNER, ("Trust/Found", "Trust/EnrolNode", "Trust/Leave")),
        (_MEMBERS, ("Trust/Renew",)),
        # On listeners of their own for those who are no members yet; nobody calls them on the main port.
        (_NOBODY, ("JoinPort/Describe", "Join/Enrol")),
    ) for method in methods}
    | {
        "/grpc.health.v1.Health/Check": _ALL,
        "/grpc.health.v1.Health/Watch": _ALL,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _ADMINS,
    }
)  # fmt: skip

# `submit` calls these for the jobs that it submitted only, and ListJobs lists only those.
OWN_JOBS: frozenset[str] = frozenset(
    _V1 + "Curation/" + method
    for method in (
        "GetJob", "ListJobs", "WatchJob", "CancelJob", "PauseJob", "ResumeJob", "RetryJob", "SampleRows", "ExplainRow",
        "DropRows", "ListQuestions", "FetchOutput", "ListOutput", "RemoveJob",
    )
)  # fmt: skip

# What leaves a line in the audit when it succeeds. A denied call leaves one, whatever it was.
AUDITED: frozenset[str] = frozenset(
    _V1 + method
    for method in (
        "Curation/Submit", "Curation/CancelJob", "Curation/PauseJob", "Curation/ResumeJob", "Curation/RetryJob",
        "Curation/DropRows", "Curation/FetchOutput", "Trust/Found", "Trust/EnrolNode", "Trust/Leave", "Trust/Invite",
        "Trust/Revoke", "Trust/RemoveDead", "Trust/Renew", "Trust/RotateAuthority", "Trust/Transfer", "Join/Enrol",
        "Host/PauseNode", "Host/ResumeNode", "Curation/RemoveJob", "Curation/AdoptJob",
        "Housekeeping/CollectGarbage", "Models/PullModel", "Models/RemoveModel",
    )
)  # fmt: skip


def denial(role: Role, method: str) -> str | None:
    """Why a caller of this role may not call the method, in one sentence; None when it may."""
    roles = ALLOWED.get(method, _NOBODY)
    if role in roles:
        return None
    name = method.rpartition("/")[2]
    invited = sorted(roles - _OWNER - _NODES)
    if invited:
        wanted = " or ".join(map(repr, invited))
        return f"the role {role!r} may not call {name}; ask for an invitation with the role {wanted}"
    if roles == _OWNER:
        return f"{name} is for the user of the node's own machine; run the command there"
    if roles == _NODES:
        return f"{name} is for nodes of the cluster only; use realignctl's commands instead"
    return f"nobody may call {name} here; use realignctl's commands instead"


def job_denial(role: Role, caller: str, method: str, owner: str) -> str | None:
    """Why a caller may not do this to a job of that owner (both as Principal.key); None when it may."""
    if role != "submit" or method not in OWN_JOBS or caller == owner:
        return None
    return "the job was submitted by somebody else, and the role 'submit' reaches its own jobs only; ask an admin"
