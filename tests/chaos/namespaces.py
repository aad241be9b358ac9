"""Namespaces: a world of the runner's own, in which it may do what it likes to networks and disks without being root.

Linux only. Whatever is started in there ends with it, however it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

LAST_WILL = ("setpriv", "--pdeathsig", "KILL")  # ends what follows when this process is killed
# New users, network, mounts and processes; when the first process in there ends, the kernel kills the others.
ENTER = ("unshare", "-Urnmp", "--fork", "--kill-child", "--mount-proc")
MAKE = "ip link set lo up && mount -t tmpfs tmpfs /run && mkdir /run/netns"


def are_there() -> bool:
    """Whether this machine lets us make them, and has the programs for it."""
    try:
        return subprocess.run([*LAST_WILL, *ENTER, "sh", "-c", MAKE], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run_inside(arguments: Sequence[str]) -> int:
    """Runs the command in a new world and gives its exit code. A Ctrl-C or SIGTERM is handed on to it as Ctrl-C."""
    command = [*LAST_WILL, *ENTER, "sh", "-c", f'{MAKE} && exec "$@"', "sh", *arguments]
    with subprocess.Popen(command, start_new_session=True) as inside:

        def hand_on(_number: int, _frame: FrameType | None) -> None:
            os.killpg(inside.pid, signal.SIGINT)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, hand_on)
        return inside.wait()


class Lan:
    """A network of hosts 10.77.0.1, .2, … on one bridge. Only in there."""

    _RULES = (100, 101, 102)  # the places of those that `unplug` adds

    def __init__(self, hosts: Sequence[str]) -> None:
        self._numbers = {host: number for number, host in enumerate(hosts, start=1)}
        _ip("link add br0 type bridge")
        _ip("link set br0 up")
        for host, number in self._numbers.items():
            _ip(f"netns add {host}")
            _ip(f"link add port{number} type veth peer name eth0 netns {host}")
            _ip(f"link set port{number} master br0 up")
            _ip(f"-n {host} addr add 10.77.0.{number}/24 dev eth0")
            _ip(f"-n {host} link set lo up")
            _ip(f"-n {host} link set eth0 up")

    def within(self, host: str) -> tuple[str, ...]:
        """What a command is put behind to run on that host."""
        return ("ip", "netns", "exec", host)

    def cut(self, host: str) -> None:
        """Pulls the cable out at the other end: addresses and routes of the host stay."""
        _ip(f"link set port{self._numbers[host]} down")

    def mute(self, host: str) -> None:
        """Nothing that the host sends to another arrives; it still hears them."""
        for other in self._others(host):
            self._lose("add", host, other)

    def deafen(self, host: str) -> None:
        """Nothing that another sends to the host arrives; they still hear it."""
        for other in self._others(host):
            self._lose("add", other, host)

    def unplug(self, host: str, other: str, *, ports: Mapping[str, int]) -> None:
        """Pulls a cable between two hosts that both have another network for what goes from or to these ports alone."""
        for sender, receiver in ((host, other), (other, host)):
            rules = (f"dport {ports[receiver]} lookup main", f"sport {ports[sender]} lookup main", "blackhole")
            for place, rule in zip(self._RULES, rules, strict=True):
                to = f"10.77.0.{self._numbers[receiver]}/32"
                _ip(f"-n {sender} rule add pref {place} to {to} ipproto tcp {rule}")

    def heal(self, host: str) -> None:
        """Undoes whichever of these was done."""
        _ip(f"link set port{self._numbers[host]} up")
        for other in self._others(host):
            self._lose("del", host, other)
            self._lose("del", other, host)
        for any_host in self._numbers:
            for place in self._RULES:
                _ip(f"-n {any_host} rule del pref {place}", may_fail=True)

    def _others(self, host: str) -> list[str]:
        return [other for other in self._numbers if other != host]

    def _lose(self, change: str, sender: str, receiver: str) -> None:
        to = f"10.77.0.{self._numbers[receiver]}/32"
        _ip(f"-n {sender} route {change} blackhole {to}", may_fail=change == "del")


class SmallDisk:
    """A disk of its own, in memory, whose size can be changed. Only in there."""

    SIZE = "4g"  # above what a node keeps free; only what is written takes memory

    def __init__(self, at: Path) -> None:
        self._at = at
        at.mkdir(parents=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={self.SIZE},mode=700", "tmpfs", str(at))

    def fill(self) -> None:
        """Nothing more fits."""
        disk = os.statvfs(self._at)
        self._resize(str((disk.f_blocks - disk.f_bfree) * disk.f_frsize))

    def free(self) -> None:
        """There is as much room as at first."""
        self._resize(self.SIZE)

    def remove(self) -> None:
        """What is on it lies in the folder itself afterwards, and outlives this world."""
        copy = f"{self._at}.copy"
        _run("cp", "-a", str(self._at), copy)
        _run("umount", "--lazy", str(self._at))
        self._at.rmdir()
        Path(copy).rename(self._at)

    def _resize(self, size: str) -> None:
        _run("mount", "-o", f"remount,size={size}", str(self._at))


def _ip(words: str, *, may_fail: bool = False) -> None:
    _run("ip", *words.split(), may_fail=may_fail)


def _run(*command: str, may_fail: bool = False) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and not may_fail:
        sys.exit(f"chaos: {' '.join(command)}: {done.stderr.strip()}")
