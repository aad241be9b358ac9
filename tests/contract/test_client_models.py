"""`models` against a scripted daemon: what is shown, asked and told."""

from __future__ import annotations

import json
from collections.abc import Iterator

import grpc
import pytest

from realign_client.cli import run
from realign_client.render.models import arrival_line
from realign_client.testing import ScriptedDaemon, serving
from realign_proto.v1 import models_pb2 as pb

NAME = "acme/tiny-1M"


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedDaemon]:
    scripted = ScriptedDaemon()
    with serving(scripted) as address:
        monkeypatch.setenv("REALIGN_ENDPOINT", address)
        yield scripted


def test_the_list_says_what_lies_where_and_who_needs_it(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "MODEL         NODE    SIZE  BITS  REVISION  USED BY  FOLDER",
        "acme/tiny-1M  left  500 kB    16  c0ffeec0  dpo-1    /models/acme/tiny-1M",
        "node right could not be asked: it is away",
    ]


def test_the_list_as_json_is_one_document(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert (model["node"], model["size_bytes"], model["used_by"]) == ("left", 500_000, ["dpo-1"])


def test_a_pull_shows_how_far_it_is_on_stderr_and_its_outcome_on_stdout(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "pull", NAME, "--revision", "main", "--node", "left"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{NAME} at c0ffeec0ffee, 500 kB, is on left in /models/acme/tiny-1M\n"
    assert captured.err == (f"left gets {NAME} from the hub: 250 kB of 500 kB, 50 %, 50 kB/s, about 5.0s left\n")
    assert daemon.told == [pb.PullModelRequest(name=NAME, revision="main", node="left")]
    assert run(["models", "pull", NAME, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == NAME


def test_a_pull_that_waits_for_another_says_so() -> None:
    assert arrival_line(NAME, pb.ModelArrived(node="left")) == f"left fetches another model before {NAME}"


def test_a_pull_that_has_just_asked_says_whom() -> None:
    asked = pb.ModelArrived(node="left", source="the hub")
    assert arrival_line(NAME, asked) == f"left asks the hub for {NAME}"


def test_a_gated_model_ends_a_pull_with_exit_code_2_and_one_sentence(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.refusal = (grpc.StatusCode.INVALID_ARGUMENT, f"{NAME} is gated: accept its licence", "2")
    assert run(["models", "pull", NAME]) == 2
    assert capsys.readouterr().err == f"realignctl: {NAME} is gated: accept its licence\n"


def test_rm_asks_before_and_says_what_is_gone(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "rm", NAME]) == 2
    assert daemon.told == []
    assert run(["models", "rm", NAME, "--node", "left", "--yes"]) == 0
    assert capsys.readouterr().out == f"{NAME} is gone from left: 500 kB\n"
    assert daemon.told == [pb.RemoveModelRequest(name=NAME, node="left")]
