"""Commands: what a machine is asked, each under the name that its answer is recorded by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SERVICE = "local.realign.realignd"

# Name -> program and arguments. What stands in braces is filled in by whoever runs them: a device, the user's number,
# a folder or file of the daemon's.
COMMON: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sw_vers": ("sw_vers", "-productVersion"),
        "date": ("date", "+%s"),
        "disk": ("df", "-kP", "{disk}"),
        "daemon_log": ("tail", "-c", "262144", "{data_dir}/realignd.log"),
        "daemon_last_words": ("tail", "-c", "65536", "{data_dir}/realignd.out"),
    }
)
LINUX: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"sandbox": ("{bwrap}", "--ro-bind", "/", "/", "--unshare-all", "true")}
)
MACOS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sw_vers_build": ("sw_vers", "-buildVersion"),
        "sysctl_brand_string": ("sysctl", "-n", "machdep.cpu.brand_string"),
        "system_profiler_thunderbolt": ("system_profiler", "SPThunderboltDataType", "-json"),
        "rdma_ctl_status": ("rdma_ctl", "status"),
        "nvram_rdma_enable": ("nvram", "rdma-enable"),
        "ibv_devices": ("ibv_devices",),
        "ifconfig": ("ifconfig",),
        "networksetup_hardware_ports": ("networksetup", "-listallhardwareports"),
        "firewall_state": ("socketfilterfw", "--getglobalstate"),
        "firewall_block_all": ("socketfilterfw", "--getblockall"),
        "launchctl_system": ("launchctl", "print", f"system/{SERVICE}"),
        "launchctl_user": ("launchctl", "print", f"gui/{{uid}}/{SERVICE}"),
        "fast_synch": ("launchctl", "getenv", "MLX_METAL_FAST_SYNCH"),
        "sandbox": ("sandbox-exec", "-p", "(version 1)(allow default)", "true"),
    }
)
DEVICE_INFO = ("ibv_devinfo", "-d", "{device}")  # for each device that ibv_devices lists, as ibv_devinfo_DEVICE

# What is asked in another way, and what its answer is.
ASKED: Mapping[str, str] = MappingProxyType(
    {
        "interpreter": "the Python that runs the daemon: JSON of `python -m realign_daemon.host.interpreter`",
        "daemon_status": "what `realignctl status --json` prints; status 1 and a sentence when the daemon is silent",
    }
)


def device_answer(device: str) -> str:
    """Under which name a device's ibv_devinfo is recorded."""
    return f"ibv_devinfo_{device}"
