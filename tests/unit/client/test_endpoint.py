"""Endpoints: what a person may write, and which daemon of this machine is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from realign_client.endpoint import find_endpoint, parse_endpoint
from realign_client.errors import BadUsage


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("d")
    monkeypatch.setenv("REALIGN_DATA_DIR", str(path))
    return path


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("mac.local:7411", "mac.local:7411"),
        ("[::1]:7411", "[::1]:7411"),
        ("/run/r.sock", "unix:/run/r.sock"),
        ("unix:/run/r.sock", "unix:/run/r.sock"),
    ],
)
def test_an_endpoint_is_an_address_or_a_socket(text: str, target: str) -> None:
    assert parse_endpoint(text) == target


@pytest.mark.parametrize("text", ["mac", "mac:", ":1", "mac:99999", "mac:x"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadUsage):
        parse_endpoint(text)


def test_a_named_endpoint_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALIGN_ENDPOINT", "a:1")
    assert (find_endpoint("b:2"), find_endpoint()) == ("b:2", "a:1")


def test_the_socket_is_nearer_than_the_address(folder: Path, listener: socket.socket) -> None:
    (folder / "endpoint").write_text(address(listener))
    path = folder / "realignd.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert find_endpoint() == f"unix:{path}"


def test_the_socket_of_a_daemon_that_was_killed_is_passed_over(folder: Path, listener: socket.socket) -> None:
    (folder / "endpoint").write_text(f"{address(listener)}\n")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "realignd.sock"))
    assert find_endpoint() == address(listener)


def test_a_socket_elsewhere_is_found_by_its_pointer(folder: Path) -> None:
    path = folder / "elsewhere"
    (folder / "socket").write_text(str(path))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert find_endpoint() == f"unix:{path}"
