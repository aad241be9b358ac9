"""The supervisor and real children: no orphan, no silent hang, and a death that is explained."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

import realign_daemon
from realign_daemon.engine.api import EngineStatus, Generate, Generated, LocalModel, Message, ModelId, Sampler
from realign_daemon.engine.ending import last_words
from realign_daemon.engine.errors import BadTask, EngineDied, NotLoaded
from realign_daemon.engine.process import patience_s
from realign_daemon.engine.supervisor import EngineSettings, EngineSupervisor, child_environment, needed_bytes
from realign_daemon.work.blobs import BlobStore

OWNER = """
import asyncio, json, sys
from pathlib import Path
from realign_daemon.engine.api import LocalModel
from realign_daemon.engine.supervisor import EngineSupervisor
from realign_daemon.work.blobs import BlobStore

async def main():
    values = json.loads(sys.argv[1])
    model = LocalModel(**{**values, "path": Path(values["path"])})
    engine = EngineSupervisor(BlobStore(Path(sys.argv[2]) / "blobs"), Path(sys.argv[2]) / "cache")
    await engine.load(model)
    print(engine.status().pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def long(model: LocalModel, seed: int) -> Generate:
    """Hundreds of tokens: in flight until somebody acts."""
    return Generate(
        model=model.model,
        messages=(Message(role="user", content="tell me"),),
        sampler=Sampler(temperature=5.0, max_tokens=1500),
        seed=seed,
        template="t",
    )


def short(model: LocalModel) -> Generate:
    return replace(long(model, 1), sampler=Sampler(temperature=0, max_tokens=2))


def supervisor(blobs: BlobStore, tmp_path: Path, **settings: Any) -> EngineSupervisor:
    return EngineSupervisor(blobs, tmp_path / "cache", EngineSettings(**settings))


async def until(engine: EngineSupervisor, state: str) -> None:
    while engine.status().state != state:  # noqa: ASYNC110 - a status is read, nobody announces it
        await asyncio.sleep(0)


def test_a_killed_daemon_leaves_no_child(tiny_model: LocalModel, tmp_path: Path) -> None:
    values = {name: getattr(tiny_model, name) for name in tiny_model.__dataclass_fields__} | {
        "path": str(tiny_model.path)
    }
    command = [sys.executable, "-c", OWNER, json.dumps(values), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            pid = next(line for line in owner.stdout if line.strip().isdigit())  # log lines come before it
            child = psutil.Process(int(pid))
        finally:
            owner.kill()
    child.wait(timeout=20)  # raises when it is still there


async def test_a_child_that_gets_on_with_nothing_is_killed_and_explained(
    blobs: BlobStore, tmp_path: Path, tiny_model: LocalModel
) -> None:
    engine = supervisor(blobs, tmp_path, stall_timeout_s=0.5)
    await engine.load(replace(tiny_model, weight_bytes=10**9))  # a large model may take long to load
    os.kill(engine.status().pid, signal.SIGSTOP)
    with pytest.raises(EngineDied, match="got on with nothing"):
        await engine.perform(short(tiny_model))
    assert engine.status().state == "failed"
    await engine.close()


async def test_a_crash_is_explained_by_its_last_words(blobs: BlobStore, tmp_path: Path, tiny_model: LocalModel) -> None:
    engine = supervisor(blobs, tmp_path)
    await engine.load(tiny_model)
    flying = asyncio.create_task(engine.perform(long(tiny_model, 1)))
    await until(engine, "busy")
    os.kill(engine.status().pid, signal.SIGABRT)
    with pytest.raises(EngineDied) as death:
        await flying
    assert death.value.cause == "killed by SIGABRT"
    assert death.value.last_words.startswith("Fatal Python error: Aborted")
    await engine.close()


async def test_another_model_gets_a_child_of_its_own(blobs: BlobStore, tmp_path: Path, tiny_model: LocalModel) -> None:
    engine = supervisor(blobs, tmp_path)
    await engine.load(tiny_model)
    first = psutil.Process(engine.status().pid)
    flying = asyncio.create_task(engine.perform(long(tiny_model, 1)))
    await until(engine, "busy")
    other = replace(tiny_model, name="other", model=ModelId("c" * 64))
    await engine.load(other)
    with pytest.raises(EngineDied, match="other is loaded in its place"):
        await flying
    assert not first.is_running()
    assert isinstance(await engine.perform(short(other)), Generated)
    with pytest.raises(NotLoaded):
        await engine.perform(short(tiny_model))
    await engine.close()


async def test_a_folder_without_a_model_is_refused_and_leaves_no_child(
    blobs: BlobStore, tmp_path: Path, tiny_model: LocalModel
) -> None:
    engine = supervisor(blobs, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadTask, match="cannot be loaded"):
        await engine.load(replace(tiny_model, path=tmp_path / "empty"))
    assert engine.status().state == "absent"
    await engine.load(tiny_model)
    await engine.close()


async def test_an_idle_engine_gives_its_memory_back(blobs: BlobStore, tmp_path: Path, tiny_model: LocalModel) -> None:
    engine = supervisor(blobs, tmp_path, idle_unload_s=0.05)
    await engine.load(tiny_model)
    child = psutil.Process(engine.status().pid)
    assert isinstance(await engine.perform(short(tiny_model)), Generated)
    await asyncio.to_thread(child.wait, 10)
    await until(engine, "absent")
    assert engine.status().last_error == ""
    with pytest.raises(NotLoaded):
        await engine.perform(short(tiny_model))
    await engine.close()


async def test_a_closed_engine_starts_nothing_and_leaves_no_files(
    blobs: BlobStore, tmp_path: Path, tiny_model: LocalModel
) -> None:
    engine = supervisor(blobs, tmp_path)
    await engine.load(tiny_model)
    await engine.close()
    with pytest.raises(EngineDied, match="stopping"):
        await engine.load(tiny_model)
    assert list((tmp_path / "cache" / "engine").iterdir()) == []


async def test_benchmarking_arithmetic_needs_no_model(blobs: BlobStore, tmp_path: Path) -> None:
    engine = supervisor(blobs, tmp_path, duty_fraction=0.9)
    figures = await engine.benchmark_compute(budget_s=0.2)
    assert figures.gflops["float32"] > 0
    assert engine.status().state == "absent"
    await engine.close()


def test_the_childs_environment_can_be_overridden_and_holds_no_rank() -> None:
    inherited = {"PATH": "/bin", "MLX_RANK": "1", "MLX_METAL_FAST_SYNCH": "0"}
    plain = child_environment(inherited, EngineSettings())
    assert plain["PATH"] == "/bin"
    assert (plain["MLX_METAL_PREALLOCATE"], plain["MLX_METAL_FAST_SYNCH"]) == ("1", "1")
    assert (plain["TOKENIZERS_PARALLELISM"], plain["HF_HUB_OFFLINE"]) == ("false", "1")
    assert "MLX_RANK" not in plain
    for name in ("JACCL_RING", "MLX_JACCL_RING", "JACCL_COORDINATOR", "MLX_JACCL_COORDINATOR", "MLX_IBV_DEVICES"):
        assert name not in child_environment({name: "1"}, EngineSettings(), in_group=True)
    own = child_environment(inherited, EngineSettings(env={"MLX_METAL_FAST_SYNCH": "", "OMP_NUM_THREADS": "4"}))
    assert "MLX_METAL_FAST_SYNCH" not in own
    assert own["OMP_NUM_THREADS"] == "4"


@pytest.mark.skipif(sys.platform != "linux", reason="weights become float32 on the CPU only")
def test_sixteen_bit_weights_need_twice_their_size_on_a_cpu(tiny_model: LocalModel) -> None:
    big = replace(tiny_model, weight_bytes=10**9)
    assert needed_bytes(replace(big, bits=16)) - needed_bytes(replace(big, bits=4)) == pytest.approx(1.2e9)


def test_last_words_are_the_lines_that_explain() -> None:
    trace = "noise\n" * 20 + 'Traceback (most recent call last):\n  File "loop.py"\nRuntimeError: no more\n'
    assert last_words(trace).endswith("RuntimeError: no more")
    fatal = "noise\nFatal Python error: Segmentation fault\n\nThread 0x1\n" + "  File\n" * 30 + "Extension modules: x\n"
    assert last_words(fatal).startswith("Fatal Python error: Segmentation fault | Thread 0x1")
    assert last_words("") == ""


async def test_a_death_with_nothing_to_do_is_seen_and_the_next_load_starts_anew(
    blobs: BlobStore, tmp_path: Path, tiny_model: LocalModel
) -> None:
    engine = supervisor(blobs, tmp_path)
    await engine.load(tiny_model)
    os.kill(engine.status().pid, signal.SIGKILL)
    await until(engine, "failed")
    assert "SIGKILL" in engine.status().last_error
    await engine.load(tiny_model)
    assert isinstance(await engine.perform(short(tiny_model)), Generated)
    await engine.close()


@pytest.mark.parametrize(
    ("slowest_step_s", "task_times_s", "limit_s"),
    [
        (0.5, (), 60.0),
        (0.5, (3.0, 4.0, 600.0), 60.0),
        (0.5, (10.0, 30.0, 600.0), 150.0),  # reading a long prompt is one step without a sign of life
        (40.0, (10.0,), 200.0),
    ],
)
def test_a_child_is_given_up_after_a_minute_or_five_times_what_is_usual(
    slowest_step_s: float, task_times_s: tuple[float, ...], limit_s: float
) -> None:
    assert patience_s(60.0, slowest_step_s, task_times_s) == limit_s


async def test_an_engine_is_unloaded_when_it_is_told_to_and_never_under_a_task(
    blobs: BlobStore, tmp_path: Path, tiny_model: LocalModel
) -> None:
    engine = supervisor(blobs, tmp_path)
    await engine.unload("nobody needs it")
    await engine.load(tiny_model)
    flying = asyncio.create_task(engine.perform(long(tiny_model, 1)))
    await until(engine, "busy")
    await engine.unload("the node is paused")
    assert engine.status().state == "busy"
    flying.cancel()
    await asyncio.gather(flying, return_exceptions=True)
    await engine.unload("the node is paused")
    assert engine.status() == EngineStatus(state="absent")
    await engine.load(tiny_model)
    assert isinstance(await engine.perform(short(tiny_model)), Generated)
    await engine.close()


async def test_a_child_is_a_program_of_its_own_and_no_copy_of_the_daemon(
    blobs: BlobStore, tmp_path: Path, tiny_model: LocalModel
) -> None:
    """A forked child of a process with gRPC threads hangs."""
    engine = supervisor(blobs, tmp_path)
    await engine.load(tiny_model)
    child = psutil.Process(engine.status().pid)
    assert child.ppid() == os.getpid()
    assert child.cmdline()[1:3] == ["-m", "realign_daemon.engine.child"]
    await engine.close()


def test_the_daemon_never_forks() -> None:
    """Not by multiprocessing, whose children may be forks, and not by itself; the sandbox tries it, to see it fail."""
    root = Path(realign_daemon.__file__).parent
    found = {
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if _forks(node)
    }
    assert found <= {"curation/verify/sandbox.py"}


def _forks(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr="fork" | "forkpty") | ast.keyword(arg="preexec_fn"):
            return True
        case ast.Import(names=names):
            return any(name.name.partition(".")[0] == "multiprocessing" for name in names)
        case ast.ImportFrom(module=str(module), names=names):
            process_pool = any(name.name in ("ProcessPoolExecutor", "fork") for name in names)
            return module.partition(".")[0] == "multiprocessing" or process_pool
        case _:
            return False
