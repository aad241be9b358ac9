"""The worker child: what comes back, and that nothing it does hurts the process that asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from realign_daemon.engine.frames import pack_frame
from realign_daemon.worker.errors import WorkerDied, WorkerRefused, WorkerTimeout
from realign_daemon.worker.supervisor import Worker

CALM_S = 30.0  # generous: a child's start takes 0.1 to 1 s on a busy machine


async def appears(path: Path) -> None:
    """Waits until the file is there."""
    async with asyncio.timeout(CALM_S):
        while not path.exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
            await asyncio.sleep(0.01)


async def test_plain_data_goes_there_and_back(worker: Worker) -> None:
    value = {"text": "häß", "numbers": [1, 2.5, None, True], "bytes": b"\x00\xff"}
    assert await worker.call("echo", {"value": value}, timeout_s=CALM_S) == value


async def test_calls_share_one_child_and_never_run_in_the_asking_process(worker: Worker) -> None:
    first = await worker.call("process_id", {}, timeout_s=CALM_S)
    assert first == await worker.call("process_id", {}, timeout_s=CALM_S) == worker.pid
    assert first != os.getpid()


async def test_calls_asked_together_each_get_their_own_answer(worker: Worker) -> None:
    asked = [worker.call("echo", {"value": number}, timeout_s=CALM_S) for number in range(20)]
    assert await asyncio.gather(*asked) == list(range(20))


async def test_a_segfault_is_an_error_that_names_the_signal_and_the_next_call_works(worker: Worker) -> None:
    with pytest.raises(WorkerDied, match="SIGSEGV"):
        await worker.call("crash", {}, timeout_s=CALM_S)
    assert await worker.call("echo", {"value": "again"}, timeout_s=CALM_S) == "again"


async def test_a_child_that_leaves_is_an_error_that_names_its_exit_status(worker: Worker) -> None:
    with pytest.raises(WorkerDied, match="exit status 7"):
        await worker.call("leave", {}, timeout_s=CALM_S)


async def test_the_error_of_a_dead_child_carries_its_last_words(worker: Worker) -> None:
    with pytest.raises(WorkerDied, match="cannot go on"):
        await worker.call("last_words", {}, timeout_s=CALM_S)


async def test_a_child_killed_from_outside_fails_only_the_call_in_flight(worker: Worker, marker: Path) -> None:
    async with asyncio.TaskGroup() as group:
        call = group.create_task(_expect_death(worker, marker))
        await appears(marker)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
    assert "SIGKILL" in call.result()
    assert await worker.call("echo", {"value": 1}, timeout_s=CALM_S) == 1


async def _expect_death(worker: Worker, marker: Path) -> str:
    with pytest.raises(WorkerDied) as caught:
        await worker.call("hang", {"marker": str(marker)}, timeout_s=CALM_S)
    return str(caught.value)


async def test_a_late_call_is_stopped_with_its_child_and_the_next_call_works(worker: Worker) -> None:
    before = await worker.call("process_id", {}, timeout_s=CALM_S)
    with pytest.raises(WorkerTimeout, match=r"hang did not finish in 0\.05 s"):
        await worker.call("hang", {"marker": "/dev/null"}, timeout_s=0.05)
    assert await worker.call("process_id", {}, timeout_s=CALM_S) != before
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(before)), 0)


async def test_a_cancelled_call_does_not_answer_the_next_one(worker: Worker, marker: Path) -> None:
    call = asyncio.create_task(worker.call("hang", {"marker": str(marker)}, timeout_s=CALM_S))
    await appears(marker)
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call
    assert await worker.call("echo", {"value": "mine"}, timeout_s=CALM_S) == "mine"


async def test_what_a_function_raises_comes_back_with_its_type_and_costs_no_child(worker: Worker) -> None:
    before = await worker.call("process_id", {}, timeout_s=CALM_S)
    with pytest.raises(WorkerRefused, match="complain failed: ValueError: no such table"):
        await worker.call("complain", {}, timeout_s=CALM_S)
    assert await worker.call("process_id", {}, timeout_s=CALM_S) == before


async def test_a_function_that_is_not_registered_is_refused(worker: Worker) -> None:
    with pytest.raises(WorkerRefused, match="registered"):
        await worker.call("os.system", {"command": "true"}, timeout_s=CALM_S)


async def test_what_a_function_prints_does_not_break_its_answer(worker: Worker) -> None:
    assert await worker.call("chatter", {}, timeout_s=CALM_S) == "said"


@pytest.mark.parametrize("function", ["strange", "long"])
async def test_an_answer_that_cannot_be_sent_is_refused_and_costs_no_child(worker: Worker, function: str) -> None:
    before = await worker.call("process_id", {}, timeout_s=CALM_S)
    with pytest.raises(WorkerRefused, match=f"{function} failed: its result cannot be sent"):
        await worker.call(function, {}, timeout_s=CALM_S)
    assert await worker.call("process_id", {}, timeout_s=CALM_S) == before


@pytest.mark.parametrize("value", [object(), 2**80, bytes(65 * 1024 * 1024)])
async def test_input_that_cannot_be_sent_is_refused_before_a_child_starts(worker: Worker, value: object) -> None:
    with pytest.raises(WorkerRefused, match="echo failed: its input cannot be sent"):
        await worker.call("echo", {"value": value}, timeout_s=CALM_S)
    assert worker.pid is None


@pytest.mark.parametrize("said", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x02\xc1\xc1", pack_frame([7])])
async def test_a_child_that_talks_nonsense_is_killed_and_the_calls_behind_it_get_another(
    command: tuple[str, ...], tmp_path: Path, said: bytes
) -> None:
    spoken = tmp_path / "spoken"
    once = (
        f"import os, sys, time\nif not os.path.exists({str(spoken)!r}):\n"
        f"    open({str(spoken)!r}, 'w').close(); os.write(1, {said!r}); time.sleep(600)\n"
        f"os.execv(sys.executable, {list(command)!r})"
    )
    worker = Worker(command=(sys.executable, "-c", once))
    asked = [worker.call("echo", {"value": number}, timeout_s=CALM_S) for number in range(3)]
    try:
        first, *others = await asyncio.gather(*asked, return_exceptions=True)
    finally:
        await worker.close()
    assert isinstance(first, WorkerDied)
    assert "it sent what cannot be read" in str(first)
    assert others == [1, 2]


async def test_closing_ends_the_child(worker: Worker) -> None:
    pid = await worker.call("process_id", {}, timeout_s=CALM_S)
    await worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(pid)), 0)


async def test_the_child_leaves_when_its_parent_has_gone_even_in_the_middle_of_a_call(
    command: tuple[str, ...], marker: Path
) -> None:
    child = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.write(pack_frame({"id": 0, "function": "hang", "arguments": {"marker": str(marker)}}))
    await appears(marker)
    child.stdin.close()
    assert await asyncio.wait_for(child.wait(), CALM_S) == 0


def test_the_supervisor_imports_no_parser_and_no_numbers_library() -> None:
    code = "import sys, realign_daemon.worker.supervisor; print({'numpy', 'scipy', 'pypdfium2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
