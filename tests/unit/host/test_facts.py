"""Facts of the machine, from what its programs print."""

from __future__ import annotations

import pytest

from realign_daemon.host.facts import linux_chip, macos_usable_bytes, parse_gpu_cores, parse_sysctl, read_facts

GIB = 2**30
SYSCTL = (
    "machdep.cpu.brand_string: Apple M3 Pro\nhw.memsize: 38654705664\nhw.physicalcpu: 12\niogpu.wired_limit_mb: 0\n"
)
IOREG = """+-o AGXAcceleratorG15X  <class AGXAcceleratorG15X, id 0x1000003c4, registered, matched, active, busy 0>
    {
      "IOClass" = "AGXAcceleratorG15X"
      "model" = "Apple M3 Pro"
      "gpu-core-count" = 18
      "PerformanceStatistics" = {"In use system memory (driver)"=0,"Device Utilization %"=42}
    }
"""
CPUINFO = "processor\t: 0\nmodel name\t: Intel(R) Xeon(R)   Processor @ 2.10GHz\nprocessor\t: 1\nmodel name\t: other\n"


def test_sysctl_gives_names_and_values() -> None:
    values = parse_sysctl(SYSCTL + "sysctl: unknown oid 'x'\n")
    assert values["machdep.cpu.brand_string"] == "Apple M3 Pro"
    assert int(values["hw.memsize"]) == 36 * GIB
    assert values["iogpu.wired_limit_mb"] == "0"


@pytest.mark.parametrize(("text", "cores"), [(IOREG, 18), ("", 0), ('"gpu-core-counter" = 3', 0)])
def test_gpu_cores_are_counted_where_they_are_listed(text: str, cores: int) -> None:
    assert parse_gpu_cores(text) == cores


@pytest.mark.parametrize(
    ("memory_bytes", "limit_mb", "usable_bytes"),
    [
        (32 * GIB, 0, 22_906_492_245),  # 22906.50 MB on a real one
        (36 * GIB, 0, 28_991_029_248),  # 28991.03 MB on a real one
        (128 * GIB, 0, 96 * GIB),
        (32 * GIB, 28 * 1024, 28 * GIB),
        (32 * GIB, 64 * 1024, 32 * GIB),
    ],
)
def test_a_mac_lends_its_gpu_what_metal_says_or_the_owner_set(
    memory_bytes: int, limit_mb: int, usable_bytes: int
) -> None:
    assert macos_usable_bytes(memory_bytes, limit_mb) == usable_bytes


@pytest.mark.parametrize(("text", "chip"), [(CPUINFO, "Intel(R) Xeon(R) Processor @ 2.10GHz"), ("BogoMIPS: 3", "")])
def test_the_chip_is_named_in_cpuinfo(text: str, chip: str) -> None:
    assert linux_chip(text) == chip


def test_this_machine_has_facts() -> None:
    facts = read_facts()
    assert facts.chip
    assert facts.os
    assert 0 < facts.usable_bytes < facts.memory_bytes
    assert facts.cpu_cores >= 1
