"""Programs that answer, fail, hang, flood or leave children behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from realign_client.doctor.programs import OUTPUT_BYTES, ask_program
from realign_planner.diagnosis.answer import Answer


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("echo 26.3", Answer(text="26.3\n")),
        ("echo no >&2; exit 3", Answer(text="no\n", status=3)),
        ("echo warned >&2; echo 26.3", Answer(text="26.3\n")),
        (r"printf '\377\000'", Answer(text="�\0")),
    ],
)
async def test_an_answer_is_what_was_printed_and_the_exit_status(programs: Path, script: str, answer: Answer) -> None:
    put(programs, "tool", script)

    assert await ask_program(("tool",)) == answer


async def test_a_program_that_is_not_on_the_path_has_no_answer(programs: Path) -> None:
    assert await ask_program(("no_such_tool",)) is None


async def test_a_program_that_cannot_be_started_is_an_answer_with_a_status(programs: Path) -> None:
    put(programs, "tool", "")
    (programs / "tool").write_bytes(b"\x7fELF no program")

    answer = await ask_program(("tool",))

    assert answer is not None
    assert answer.status == 126


@pytest.mark.parametrize("script", ["sleep 60", "sleep 60 & echo early", "trap '' TERM; while :; do sleep 60; done"])
async def test_a_program_that_hangs_is_ended_with_its_children_at_the_deadline(programs: Path, script: str) -> None:
    put(programs, "tool", script)
    began = time.monotonic()

    answer = await ask_program(("tool",), deadline_s=0.3)

    assert answer is not None
    assert answer.status is None
    assert time.monotonic() - began < 10


async def test_a_program_that_floods_is_ended_and_its_beginning_kept(programs: Path) -> None:
    put(programs, "tool", "yes | cat")

    answer = await ask_program(("tool",), deadline_s=30)

    assert answer is not None
    assert (len(answer.text), answer.status) == (OUTPUT_BYTES, None)
