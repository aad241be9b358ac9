"""Causes: everything that doctor can name, with what to do about it and its exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

# rdma: only RDMA does not work, sharded models use the ring over TCP. cluster: nodes do not work together.
Severity = Literal["rdma", "cluster", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What is wrong, in one sentence, and one or two commands or clicks against it."""

    id: str
    exit_code: int  # 10 to 39, one for each cause: scripts rely on them
    severity: Severity
    sentence: str
    fix: str


_RECOVERY = (
    "shut the Mac down, hold its power button until the start-up options show, open Options, then Utilities > "
    "Terminal, run `rdma_ctl enable` and restart; this cannot be done remotely"
)
_UPDATE = "System Settings > General > Software Update, or `softwareupdate --install --os-only --restart --all`"
_REINSTALL = (
    "install realign again with a Python that reports macOS 26 (python.org 3.12 or later, `uv python install 3.12`), "
    "then `realignctl daemon install`"
)
_RESTART = "restart both Macs; if it comes back, see `realignctl daemon logs` for groups that end again and again"

_ALL = (
    # The ladder to RDMA, in its order.
    Cause(
        id="macos_too_old",
        exit_code=10,
        severity="rdma",
        sentence="this macOS has no RDMA over Thunderbolt: it came with 26.2",
        fix=_UPDATE,
    ),
    Cause(
        id="macos_unsafe",
        exit_code=11,
        severity="warning",
        sentence="with RDMA macOS 26.2 is reported to have changed data without an error; use 26.3 or later",
        fix=_UPDATE,
    ),
    Cause(
        id="wrong_wheel",
        exit_code=12,
        severity="rdma",
        sentence="the installed MLX is built for an older macOS and has no RDMA in it, though libjaccl.dylib is there",
        fix=_REINSTALL,
    ),
    Cause(
        id="mlx_too_old",
        exit_code=13,
        severity="rdma",
        sentence="MLX before 0.32.1 hangs when a peer is lost and does not name a device that is missing",
        fix="`pip install --upgrade 'mlx>=0.32.1'` in the daemon's environment, then `realignctl daemon stop` and "
        "`realignctl daemon start`",
    ),
    Cause(
        id="thunderbolt_too_old",
        exit_code=14,
        severity="rdma",
        sentence="RDMA is enabled, but this Mac has no Thunderbolt 5, without which there is no RDMA",
        fix="nothing to do: models are sharded by the ring over TCP; RDMA needs an M4 Pro or Max, an M3 Ultra or later",
    ),
    Cause(
        id="link_too_slow",
        exit_code=15,
        severity="rdma",
        sentence="the link at Thunderbolt {receptacle} runs below 80 Gb/s, so it is no Thunderbolt 5 link",
        fix="use a cable that is marked Thunderbolt 5, no longer than 1 m unless active, and no dock or hub in between",
    ),
    Cause(
        id="rdma_disabled",
        exit_code=16,
        severity="rdma",
        sentence="RDMA is not enabled on this Mac",
        fix=_RECOVERY,
    ),
    Cause(
        id="rdma_no_devices",
        exit_code=17,
        severity="rdma",
        sentence="RDMA is enabled, but macOS lists no RDMA device: it was not restarted since",
        fix="restart this Mac; if `ibv_devices` stays empty, run `rdma_ctl enable` in Recovery once more",
    ),
    Cause(
        id="port_down",
        exit_code=18,
        severity="rdma",
        sentence="{device} is not active: the cable is out, the other Mac sleeps or has RDMA disabled, or the port has "
        "not come back after a sleep",
        fix="wake the other Mac and plug the cable in again, not next to a Mac Studio's Ethernet port; then restart "
        "both Macs",
    ),
    Cause(
        id="port_in_bridge",
        exit_code=19,
        severity="rdma",
        sentence="{interface} is a member of {bridge}: RDMA finds no address there, and a ring of cables loops",
        fix="System Settings > Network > … > Manage Virtual Interfaces: delete the Thunderbolt Bridge; then add a "
        "service for {interface} with `sudo networksetup -createnetworkservice RDMA-{interface} {interface}`",
    ),
    Cause(
        id="port_without_ipv4",
        exit_code=20,
        severity="rdma",
        sentence="{interface} has no IPv4 address, and RDMA finds the other end by it",
        fix="`sudo networksetup -createnetworkservice RDMA-{interface} {interface}` and `sudo networksetup -setdhcp "
        "RDMA-{interface}`, which gives it a link-local address and survives a restart",
    ),
    Cause(
        id="wrong_cable_end",
        exit_code=21,
        severity="rdma",
        sentence="the cable at Thunderbolt {receptacle} does not end where the other Mac says that it does",
        fix="plug the cable in again at both ends, directly from Mac to Mac of this cluster; then run doctor on both",
    ),
    Cause(
        id="self_test_hung",
        exit_code=22,
        severity="rdma",
        sentence="the test of the link hung and was ended at its deadline",
        fix=_RESTART,
    ),
    Cause(
        id="self_test_wrong",
        exit_code=23,
        severity="rdma",
        sentence="the link returned wrong figures: nothing that is computed over it can be trusted",
        fix="bring both Macs to the same macOS, 26.3 or later, and change the cable; until then sharded models use the "
        "ring over TCP",
    ),
    Cause(
        id="self_test_failed",
        exit_code=24,
        severity="rdma",
        sentence="the test of the link did not come up with all its members",
        fix="see `realignctl daemon logs` on both Macs for what MLX said, then run doctor on the other Mac",
    ),
    Cause(
        id="nodes_differ",
        exit_code=25,
        severity="rdma",
        sentence="the nodes do not run the same {what}, and a sharded model needs the same everywhere",
        fix="bring the older ones to the newest: Software Update for macOS, the same release of realign for MLX",
    ),
    # What MLX said when a group of nodes failed.
    Cause(
        id="queue_pair_refused",
        exit_code=26,
        severity="rdma",
        sentence="a queue pair did not reach the other end (errno 22): a port has no IPv4 address, the ends are in "
        "different subnets, or it is another cable than was meant",
        fix="run `realignctl doctor` on the other Mac too: one of the two names its port, address or cable",
    ),
    Cause(
        id="rdma_exhausted",
        exit_code=27,
        severity="rdma",
        sentence="an RDMA device has no queue pair or protection domain left: earlier groups did not give theirs back",
        fix="restart this Mac, which alone gives them back",
    ),
    Cause(
        id="memory_regions_exhausted",
        exit_code=28,
        severity="rdma",
        sentence="an RDMA device took no more memory (errno 12): ranks did not do the same, or more than about "
        "a hundred regions were registered",
        fix="give every node the same version of realign and MLX, then restart this Mac",
    ),
    Cause(
        id="device_renamed",
        exit_code=29,
        severity="rdma",
        sentence="a group asked for an RDMA device that was not there: names change after a restart or another plug",
        fix="`realignctl daemon stop` and `realignctl daemon start`: devices are looked up anew at every start",
    ),
    Cause(
        id="peer_left_group",
        exit_code=30,
        severity="rdma",
        sentence="a node left a sharded model while it ran, or never came to it (errno 2, errno 60, connection lost)",
        fix="see `realignctl daemon logs` on the other node at that time; keep both Macs awake and the cable in",
    ),
    # What keeps nodes apart.
    Cause(
        id="daemon_silent",
        exit_code=31,
        severity="cluster",
        sentence="the daemon that doctor asks does not answer",
        fix="`realignctl daemon start` on its machine; `realignctl daemon logs` there says why it ended",
    ),
    Cause(
        id="local_network_privacy",
        exit_code=32,
        severity="cluster",
        sentence="the daemon runs as a LaunchAgent, and macOS keeps those from the local network (errno 65)",
        fix="`realignctl daemon install`, which makes it a LaunchDaemon: those are exempt; then remove the agent with "
        "`launchctl bootout gui/$(id -u)/local.realign.realignd`",
    ),
    Cause(
        id="firewall_blocks",
        exit_code=33,
        severity="cluster",
        sentence="the firewall of this Mac lets no connection in, so no other node can reach it",
        fix="System Settings > Network > Firewall > Options: turn off 'Block all incoming connections' and allow the "
        "daemon's Python",
    ),
    Cause(
        id="not_reachable",
        exit_code=34,
        severity="cluster",
        sentence="a node of the cluster can be reached in one direction only, no route leads to it, or another one "
        "goes by its name",
        fix="look for a firewall or VPN on the machine that is not reached, give both an address in one network, and "
        "run doctor there; of two machines on copies of one data directory, move one's away and let it join again",
    ),
    Cause(
        id="clock_wrong",
        exit_code=35,
        severity="cluster",
        sentence="the clock of this machine or of another node is wrong, and certificates do not count then",
        fix="System Settings > General > Date & Time: set the time automatically (Linux: `sudo timedatectl set-ntp "
        "true`)",
    ),
    # What is only worth knowing.
    Cause(
        id="apple_python",
        exit_code=36,
        severity="warning",
        sentence="the daemon runs on Apple's own Python, whose SQLite may lose what was written in a power cut",
        fix=_REINSTALL,
    ),
    Cause(
        id="disk_low",
        exit_code=37,
        severity="warning",
        sentence="the disk of the data directory is nearly full: this node takes no new work",
        fix="free some space; `realignctl gc` removes what no job needs",
    ),
    Cause(
        id="no_sandbox",
        exit_code=38,
        severity="warning",
        sentence="nothing here can confine a generated program, so jobs with code problems are refused",
        fix="Linux: `sudo apt install bubblewrap` and allow user namespaces; macOS: run doctor outside of a sandbox",
    ),
    Cause(
        id="cannot_tell",
        exit_code=39,
        severity="warning",
        sentence="what macOS says of this step could not be read",
        fix="run the command in the evidence by hand; `realignctl doctor --record FOLDER` keeps what it said",
    ),
)

CAUSES: Mapping[str, Cause] = MappingProxyType({cause.id: cause for cause in _ALL})
