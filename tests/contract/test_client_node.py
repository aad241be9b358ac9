"""`node pause` and `node resume`: what is sent, what is said, and what a length of time is."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from realign_client.cli import run
from realign_client.commands.node import parse_duration
from realign_client.errors import BadUsage
from realign_client.testing import ScriptedDaemon, serving
from realign_proto.v1 import host_pb2


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedDaemon]:
    scripted = ScriptedDaemon()
    with serving(scripted) as address:
        monkeypatch.setenv("REALIGN_ENDPOINT", address)
        yield scripted


@pytest.mark.parametrize(
    ("arguments", "request_", "text"),
    [
        (["--for", "2h"], host_pb2.PauseNodeRequest(seconds=7200.0), "left is paused for 2h 0m"),
        ([], host_pb2.PauseNodeRequest(), "left is paused until `realignctl node resume`"),
    ],
)
def test_a_pause_says_how_long_it_lasts(
    daemon: ScriptedDaemon,
    arguments: list[str],
    request_: host_pb2.PauseNodeRequest,
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["node", "pause", *arguments]) == 0
    assert daemon.told == [request_]
    assert capsys.readouterr().out.startswith(text)


def test_a_resumed_node_says_whether_it_works_now(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["node", "resume"]) == 0
    assert capsys.readouterr().out == "left takes work again, but takes none now: it is measuring itself\n"


def test_json_gives_the_facts(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["node", "pause", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["name"], document["paused"], document["pause_left_s"]) == ("left", True, None)


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45), ("90m", 5400), ("1.5h", 5400), ("1d12h", 129600)])
def test_a_length_of_time_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "2 h", "h", "-2h", "2h later", "1..5h"])
def test_what_is_no_length_of_time_is_refused_before_anything_is_sent(daemon: ScriptedDaemon, text: str) -> None:
    with pytest.raises(BadUsage, match="2h"):
        parse_duration(text)
    assert run(["node", "pause", "--for", text]) == 2
    assert daemon.told == []
