"""HostFacts: what this machine is, as its operating system tells."""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psutil

from realign_daemon.host.program import output_of

_SYSCTL_NAMES = ("machdep.cpu.brand_string", "hw.memsize", "hw.physicalcpu", "iogpu.wired_limit_mb")
# Metal's recommendedMaxWorkingSetSize, as llama.cpp prints it on people's machines: two thirds up to 32 GB (22906 MB
# of 32 GB; newer systems say 26800), three quarters from 36 GB (28991 MB of 36 GB).
_MAC_SMALL_FRACTION = 2 / 3
_MAC_LARGE_FRACTION = 3 / 4
_MAC_LARGE_BYTES = 36 * 2**30
# There is no such limit on Linux; a fifth stays for the system and the people on it.
_LINUX_FRACTION = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What does not change while the daemon runs."""

    chip: str
    os: str
    memory_bytes: int
    usable_bytes: int  # what a model may use at most
    cpu_cores: int
    gpu_cores: int  # 0 when unknown
    portable: bool  # it has a battery


def read_facts() -> HostFacts:
    """This machine. Runs programs on macOS: call it in a thread."""
    if sys.platform == "darwin":
        return _read_macos()
    memory_bytes = int(psutil.virtual_memory().total)
    return HostFacts(
        chip=linux_chip(_text(Path("/proc/cpuinfo"))) or platform.machine(),
        os=f"Linux {platform.release()}",
        memory_bytes=memory_bytes,
        usable_bytes=int(memory_bytes * _LINUX_FRACTION),
        cpu_cores=os.cpu_count() or 1,
        gpu_cores=0,
        portable=_has_battery(),
    )


def free_bytes() -> int:
    """Memory that a new process could take now."""
    return int(psutil.virtual_memory().available)


def linux_chip(cpuinfo: str) -> str:
    """The processor's name in /proc/cpuinfo; "" when it is not there (ARM kernels leave it out)."""
    match = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return re.sub(r"\s+", " ", match[1]).strip() if match else ""


def parse_sysctl(output: str) -> dict[str, str]:
    """Names and values of `sysctl NAME...`; names that the kernel does not know are missing."""
    pairs = (line.partition(":") for line in output.splitlines())
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def parse_gpu_cores(ioreg: str) -> int:
    """The cores of the GPU in `ioreg -rc AGXAccelerator -d1`; 0 when they are not listed."""
    match = re.search(r'"gpu-core-count"\s*=\s*(\d+)', ioreg)
    return int(match[1]) if match else 0


def macos_usable_bytes(memory_bytes: int, wired_limit_mb: int) -> int:
    """What Metal lets a process keep resident: the owner's own limit where one is set, else a share of all memory."""
    if wired_limit_mb > 0:
        return min(wired_limit_mb * 2**20, memory_bytes)
    large = memory_bytes >= _MAC_LARGE_BYTES
    return int(memory_bytes * (_MAC_LARGE_FRACTION if large else _MAC_SMALL_FRACTION))


def _read_macos() -> HostFacts:
    values = parse_sysctl(output_of("sysctl", *_SYSCTL_NAMES))
    memory_bytes = int(values.get("hw.memsize") or psutil.virtual_memory().total)
    return HostFacts(
        chip=values.get("machdep.cpu.brand_string", platform.machine()),
        os=f"macOS {platform.mac_ver()[0]}",
        memory_bytes=memory_bytes,
        usable_bytes=macos_usable_bytes(memory_bytes, int(values.get("iogpu.wired_limit_mb") or 0)),
        cpu_cores=int(values.get("hw.physicalcpu") or os.cpu_count() or 1),
        gpu_cores=parse_gpu_cores(output_of("ioreg", "-rc", "AGXAccelerator", "-d1")),
        portable=_has_battery(),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _has_battery() -> bool:
    return cast("object", psutil.sensors_battery()) is not None
