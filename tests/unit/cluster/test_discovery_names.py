from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf.asyncio import AsyncServiceInfo

from realign_daemon.cluster.discovery import SERVICE, node_of

NODE = "a2" * 13


def test_a_service_is_named_after_its_node() -> None:
    assert node_of(f"{NODE}.{SERVICE}") == NODE


@pytest.mark.parametrize(
    "name",
    ["evil.example.", SERVICE, f".{SERVICE}", f"{NODE}.{SERVICE}.", f"{NODE}.x.{SERVICE}", f"{NODE.upper()}.{SERVICE}"],
)
def test_what_is_named_otherwise_is_passed_over(name: str) -> None:
    assert node_of(name) is None


@given(st.text(max_size=80), st.sampled_from(["", SERVICE, f".{SERVICE}"]))
def test_whatever_is_announced_zeroconf_takes_what_is_not_passed_over(text: str, suffix: str) -> None:
    name = text + suffix
    if node_of(name) is not None:
        AsyncServiceInfo(SERVICE, name)
