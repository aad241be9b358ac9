"""Hostile programs in the sandbox: each is held, and over within seconds."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from realign_daemon.curation.verify import confine
from realign_daemon.curation.verify.errors import NoSandbox
from realign_daemon.curation.verify.sandbox import Ran, Step, require_sandbox, run, sandbox
from realign_daemon.curation.verify.seccomp import program_filter

TIMEOUT_S = 2.0
HELD = """
def held(action):
    try:
        return repr(action())
    except BaseException as error:
        return type(error).__name__
"""


def ask(program: str, question: str, *, timeout_s: float = TIMEOUT_S) -> object:
    """What the program answers; how the run ended when it gives no answer."""
    begun = time.monotonic()
    ran = run(HELD + program, steps=[Step(source=question, is_value=True)], timeout_s=timeout_s)
    assert time.monotonic() - begun < 10.0
    return json.loads(ran.results[0])[1] if ran.results else ran.how


pytestmark = pytest.mark.usefixtures("confinement")


def test_the_probe_says_what_confines_programs_here() -> None:
    report = sandbox()
    assert (report["available"], report["reason"]) == (True, "")
    require_sandbox()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/proc/1/environ", "/dev/sda", __file__, str(Path.home() / ".profile")]
)
def test_no_file_of_this_machine_can_be_read(path: str) -> None:
    assert ask("", f"held(lambda: open({path!r}).read())") in {"FileNotFoundError", "PermissionError"}


def test_the_folders_of_this_machine_are_not_there() -> None:
    home, *above = str(Path.home()), "/home", "/root", "/var", "/etc", "/sys", "/proc", "/mnt"
    seen = ask(
        "import os", f"[name for path in {[home, *above]!r} if os.path.isdir(path) for name in os.listdir(path)]"
    )
    # Where the interpreter itself lives in the home folder, the way to it is visible.
    assert {name for _, name in cast("list[tuple[str, str]]", seen)} <= set(Path(confine.interpreter()).parts)


def test_a_link_leads_nowhere_outside(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("told")
    program = f"import os\nos.symlink({str(secret)!r}, 'link')\nos.symlink('/', 'root')\n"
    assert ask(program, "held(lambda: open('link').read())") == "FileNotFoundError"
    assert ask(program, f"held(lambda: open('root' + {str(secret)!r}).read())") == "FileNotFoundError"


def test_nothing_is_written_outside_of_the_scratch_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "new", Path("/new"), Path("/usr/lib/new"), Path("/dev/shm/new")):
        assert ask("", f"held(lambda: open({str(path)!r}, 'w'))") in {"FileNotFoundError", "OSError", "PermissionError"}
        assert not path.exists()
    assert ask("", "held(lambda: open('new', 'w').write('x'))") == "1"
    assert not Path("/tmp/new").exists()


def test_the_environment_and_the_installed_packages_are_not_there() -> None:
    names = {"PYTHONHASHSEED", "LC_ALL", "PATH", "PWD"}
    assert set(str(ask("import os", "' '.join(os.environ)")).split()) <= names
    assert ask("", "held(lambda: __import__('sympy'))") == "ModuleNotFoundError"


def test_the_network_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connecting = f"held(lambda: __import__('socket').create_connection(('127.0.0.1', {port}), timeout=1))"
        assert ask("", connecting) in {"PermissionError", "ConnectionRefusedError", "OSError"}
    assert ask("import socket", "held(lambda: socket.socket(40, socket.SOCK_STREAM))") == "PermissionError"  # vsock


@pytest.mark.parametrize(
    "starting",
    [
        "os.fork()",
        "os.forkpty()",
        "os.posix_spawn(sys.executable, [sys.executable], {})",
        "subprocess.run(['/bin/sh'])",
        "multiprocessing.Process().start()",
    ],
)
def test_no_second_process_can_be_started(starting: str) -> None:
    answer = ask("import multiprocessing, os, subprocess, sys", f"held(lambda: {starting})")
    assert answer in {"PermissionError", "BlockingIOError", "OSError", "FileNotFoundError"}


def test_threads_and_asyncio_work_as_ever() -> None:
    program = "import asyncio, concurrent.futures\nasync def later(): return 3\n"
    assert ask(program, "held(lambda: asyncio.run(later()))") == "3"
    assert ask(program, "held(lambda: list(concurrent.futures.ThreadPoolExecutor(2).map(abs, [-1, -2])))") == "[1, 2]"


HOSTILE = {
    "a fork bomb": """
import os
while True:
    try: os.fork()
    except OSError: pass
""",
    "an endless loop": "while True: pass",
    "an endless sleep": "import time\ntime.sleep(1e6)",
    "three gigabytes": "held = bytearray(3 * 10**9)",
    "ever more memory": "held = []\nwhile True: held.append(bytearray(10**7))",
    "memory in files": "for number in range(10**6): open(f'/tmp/{number}', 'wb').write(bytes(4 * 10**6))",
    "endless output": "import os\nwhile True: os.write(1, bytes(10**6))",
    "a daemon": "import os\nif os.fork() == 0:\n    os.setsid()\n    while True: pass",
    "killing its parents": "import os\nfor number in (os.getppid(), 1, -1): os.kill(number, 9)",
    "stopping itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass",
    "deaf to signals": """
import signal
for number in range(1, 32):
    try: signal.signal(number, signal.SIG_IGN)
    except OSError: pass
while True: pass
""",
    "ever more threads": """
import threading
while True: threading.Thread(target=threading.Event().wait).start()
""",
    "deep recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    "a crash": "import ctypes\nctypes.string_at(0)",
    "higher limits": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
}


def test_whatever_a_program_does_it_ends_in_time_and_without_a_value() -> None:
    def attempt(program: str) -> tuple[Ran, float]:
        begun = time.monotonic()
        return run(program, steps=[Step(source="1", is_value=True)], timeout_s=1.0), time.monotonic() - begun

    with ThreadPoolExecutor(4) as threads:
        ended = dict(zip(HOSTILE, threads.map(attempt, HOSTILE.values()), strict=True))
    assert {name for name, (ran, _) in ended.items() if ran.results} == set()
    assert {name for name, (ran, _) in ended.items() if ran.how == "never_started"} == set()
    assert max(spent_s for _, spent_s in ended.values()) < 10.0


def test_output_beyond_the_limit_is_cut() -> None:
    ran = run("import os\nos.write(1, b'x' * 10**7)", steps=None, timeout_s=TIMEOUT_S)
    assert len(ran.output) <= 1024 * 1024


def test_without_bubblewrap_nothing_runs_and_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "bubblewrap", lambda: None)
    with pytest.raises(NoSandbox, match="install bubblewrap"):
        run("print(1)", steps=None, timeout_s=TIMEOUT_S)
    assert sandbox()["available"] is False


def test_another_system_has_no_sandbox() -> None:
    with pytest.raises(NoSandbox), confine.confined(("-c", ""), platform="freebsd14"):
        pass


def test_the_profile_for_macos_denies_what_it_does_not_name() -> None:
    with confine.confined(("-c", "pass"), platform="darwin") as start:
        profile = start.command[2]
        assert Path(start.folder).is_dir()
    assert start.command[:2] == ("/usr/bin/sandbox-exec", "-p")
    assert "(deny default)" in profile
    assert "(deny network*)" in profile
    assert "(deny process-fork)" in profile
    assert [line for line in profile.splitlines() if "file-write" in line] == [
        f'(allow file-read* file-write* (subpath "{os.path.realpath(start.folder)}"))'
    ]
    assert str(Path.home()) not in [line.split('"')[1] for line in profile.splitlines() if "file-read*" in line]


def decide(filter_: bytes, *, audit: int, number: int, argument: int = 0) -> int:
    """What the kernel would make of a system call: classic BPF, as far as the filter uses it."""
    data = struct.pack("=iIQQ", number, audit, 0, argument)
    place, value = 0, 0
    while True:
        code, yes, no, constant = struct.unpack_from("=HBBI", filter_, 8 * place)
        place += 1
        if code == 0x06:
            return constant
        if code == 0x20:
            value = struct.unpack_from("=I", data, constant)[0]
        else:
            test = {0x15: value == constant, 0x35: value >= constant, 0x45: bool(value & constant)}[code]
            place += yes if test else no


@pytest.mark.parametrize(
    ("machine", "audit", "clone", "socket_", "read"),
    [("x86_64", 0xC000003E, 56, 41, 0), ("aarch64", 0xC00000B7, 220, 198, 63)],
)
def test_the_filter_refuses_processes_and_sockets_and_lets_threads_be(
    machine: str, audit: int, clone: int, socket_: int, read: int
) -> None:
    allow, refuse, absent = 0x7FFF0000, 0x00050001, 0x00050026
    filter_ = program_filter(machine)
    assert filter_ is not None
    assert decide(filter_, audit=audit, number=read) == allow
    assert decide(filter_, audit=audit, number=socket_) == refuse
    assert decide(filter_, audit=audit, number=clone, argument=17) == refuse
    assert decide(filter_, audit=audit, number=clone, argument=0x003D0F00) == allow
    assert decide(filter_, audit=audit, number=435) == absent
    assert decide(filter_, audit=audit, number=0x40000000 | read) == refuse
    assert decide(filter_, audit=0x40000003, number=read) == 0x80000000
    assert program_filter("riscv64") is None
