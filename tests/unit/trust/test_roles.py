"""Roles: every method of the wire contract has a row, and what has none is denied."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, get_args

import pytest
from google.protobuf.descriptor import FileDescriptor

import realign_proto.v1
from realign_daemon.trust.roles import ALLOWED, AUDITED, OWN_JOBS, Role, denial, job_denial


def methods_of_the_contract() -> set[str]:
    found: set[str] = set()
    for module in pkgutil.iter_modules(realign_proto.v1.__path__):
        if module.name.endswith("_pb2"):
            loaded: Any = importlib.import_module(f"realign_proto.v1.{module.name}")
            file: FileDescriptor = loaded.DESCRIPTOR
            for service in file.services_by_name.values():
                found |= {f"/{service.full_name}/{method.name}" for method in service.methods}
    return found


def allowed(role: Role) -> set[str]:
    return {method.removeprefix("/realign.v1.") for method in ALLOWED if denial(role, method) is None}


def test_every_method_has_a_row_and_every_row_a_method() -> None:
    assert {method for method in ALLOWED if not method.startswith("/grpc.")} == methods_of_the_contract()
    assert methods_of_the_contract() >= OWN_JOBS
    assert methods_of_the_contract() >= AUDITED


@pytest.mark.parametrize("role", get_args(Role))
def test_what_has_no_row_is_denied_to_all(role: Role) -> None:
    for method in ("", "/realign.v1.Trust/Ruin", "/realign.v2.Status/GetStatus", "Status/GetStatus"):
        assert denial(role, method) is not None


@pytest.mark.parametrize("role", ["submit", "read", "admin", "owner"])
def test_only_nodes_speak_to_nodes(role: Role) -> None:
    assert not [method for method in allowed(role) if method.startswith(("Cluster", "Work", "Journal", "Decision"))]


@pytest.mark.parametrize("role", ["submit", "read", "node"])
def test_only_admins_and_owners_change_who_belongs(role: Role) -> None:
    assert {method for method in allowed(role) if method.startswith("Trust/")} == {"Trust/GetTrust", "Trust/Renew"}


def test_a_reader_sees_how_things_stand_and_no_rows() -> None:
    assert {method for method in allowed("read") if method.startswith(("Curation", "Status"))} == {
        "Curation/GetJob",
        "Curation/ListJobs",
        "Curation/WatchJob",
        "Status/GetStatus",
    }


def test_nobody_founds_or_leaves_a_cluster_from_another_machine() -> None:
    for method in ("Found", "EnrolNode", "Leave"):
        assert [role for role in get_args(Role) if f"Trust/{method}" in allowed(role)] == ["owner"]


def test_only_admins_and_the_owner_give_a_lost_home_s_job_another_home_and_it_is_audited() -> None:
    assert {role for role in get_args(Role) if "Curation/AdoptJob" in allowed(role)} == {"owner", "admin"}
    assert "/realign.v1.Curation/AdoptJob" in AUDITED


def test_a_submitter_reaches_its_own_jobs_only() -> None:
    cancel = "/realign.v1.Curation/CancelJob"

    assert job_denial("submit", "a", cancel, "a") is None
    assert "submitted by somebody else" in str(job_denial("submit", "a", cancel, "b"))
    assert job_denial("admin", "a", cancel, "b") is None
    assert job_denial("submit", "a", "/realign.v1.Curation/Submit", "b") is None


@pytest.mark.parametrize(
    ("role", "method", "sentence"),
    [
        ("read", "Curation/Submit",
         "the role 'read' may not call Submit; ask for an invitation with the role 'admin' or 'submit'"),
        ("submit", "Trust/Invite",
         "the role 'submit' may not call Invite; ask for an invitation with the role 'admin'"),
        ("admin", "Trust/Leave", "Leave is for the user of the node's own machine; run the command there"),
        ("admin", "Journal/Follow", "Follow is for nodes of the cluster only; use realignctl's commands instead"),
        ("admin", "Join/Enrol", "nobody may call Enrol here; use realignctl's commands instead"),
    ],
)  # fmt: skip
def test_a_denial_says_what_to_do(role: Role, method: str, sentence: str) -> None:
    assert denial(role, f"/realign.v1.{method}") == sentence
