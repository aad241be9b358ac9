"""Who may have a node ask a server of their choice."""

from __future__ import annotations

import pytest

from realign_daemon.endpoints.permission import why_not
from realign_daemon.trust.roles import Role

METADATA = "http://169.254.169.254"


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_the_owner_and_admins_may_name_any_server(role: Role) -> None:
    assert why_not(role, METADATA, hosts=()) == ""


@pytest.mark.parametrize("role", ["submit", "read", "node"])
def test_others_may_name_listed_hosts_only_and_are_told_what_to_do(role: Role) -> None:
    hosts = ("gpu.lan", "big.lan:8000")
    assert why_not(role, "http://gpu.lan:9/v1", hosts=hosts) == ""
    assert why_not(role, "http://BIG.lan:8000", hosts=hosts) == ""
    for url in (METADATA, "http://big.lan:22", "http://gpu.lan.evil.example", "http://evil.example/gpu.lan"):
        assert "endpoint_hosts" in why_not(role, url, hosts=hosts)
