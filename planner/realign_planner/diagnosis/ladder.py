"""The ladder: nine steps from a Mac's macOS to a link that computes rightly. The first that fails is the cause.

Each step is a decision over the situation; what cannot be read is unknown, and the next step is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from realign_planner.diagnosis.answer import Answers, shown
from realign_planner.diagnosis.check import Check, Topic
from realign_planner.diagnosis.interfaces import bridge_of
from realign_planner.diagnosis.machine import Machine
from realign_planner.diagnosis.rdma import ACTIVE
from realign_planner.diagnosis.situation import Situation
from realign_planner.diagnosis.thunderbolt import RDMA_GBPS, Port

FIRST_WITH_RDMA = (26, 2, 0)  # Apple TN3205
FIRST_SAFE = (26, 3, 0)  # mlx #3456; JACCL's buffers above 4 KiB ask for it, too
FIRST_MLX = (0, 32, 1)  # mlx #4060, #4180, #4281
WHEEL_MACOS = 26  # the wheel of PyPI with JACCL in it is tagged macosx_26_0 (looked into mlx-metal 0.32.4)

RING = "models that one node cannot hold are sharded by the ring over TCP"
Step = Callable[[Topic, Situation], Check]


def climb(situation: Situation) -> list[Check]:
    """All nine steps, those after the first failure skipped; all skipped where the machine cannot have RDMA."""
    absence = _absence(situation.machine)
    checks: list[Check] = []
    for topic, step in STEPS:
        failed = next((check for check in checks if check.state == "failed"), None)
        if absence or failed is not None:
            why = absence or f"not looked at, as {failed.title if failed else ''!r} failed"
            checks.append(topic.skipped(why))
        else:
            checks.append(step(topic, situation))
    return checks


def _absence(machine: Machine) -> str:
    """Why there is no RDMA here and nothing is wrong with that; "" where it may be."""
    if not machine.is_mac:
        return f"this is no Mac, and RDMA over Thunderbolt is for Macs; {RING}"
    if machine.ability == "no" and machine.is_enabled is not True:
        return f"{machine.chip or 'this Mac'} has no Thunderbolt 5, so there is no RDMA; {RING}"
    return ""


def _macos(topic: Topic, situation: Situation) -> Check:
    version, build = situation.machine.macos, situation.machine.build
    if version is None:
        return topic.unknown("", _quote(situation.answers, "sw_vers"), matters=True)
    text = f"macOS {shown(version)}{f' ({build})' if build else ''}"
    if version < FIRST_WITH_RDMA:
        return topic.failed("macos_too_old", text)
    return topic.failed("macos_unsafe", text) if version < FIRST_SAFE else topic.ok(text)


def _mlx(topic: Topic, situation: Situation) -> Check:
    software = situation.machine.software
    if software is None or (software.mlx is None and not software.tags):
        return topic.skipped("no MLX was found here: only the client is installed, or the daemon's Python is not known")
    tags = ", ".join(software.tags)
    if software.wheel_macos is not None and software.wheel_macos < WHEEL_MACOS:
        return topic.failed("wrong_wheel", f"mlx-metal has the tag {tags}")
    if software.mlx is None:
        return topic.unknown("", f"mlx {software.mlx_text}", matters=True)
    if software.mlx < FIRST_MLX:
        return topic.failed("mlx_too_old", f"mlx {software.mlx_text}")
    if software.wheel_macos is None:
        return topic.unknown("the wheel of mlx-metal has no tag that names a macOS", f"mlx {software.mlx_text} {tags}")
    return topic.ok(f"mlx {software.mlx_text}", tags)


def _thunderbolt(topic: Topic, situation: Situation) -> Check:
    machine = situation.machine
    if machine.ability == "no":
        return topic.failed("thunderbolt_too_old", machine.chip or _speeds(machine.ports or ()))
    if machine.ports is None:
        return topic.unknown("", _quote(situation.answers, "system_profiler_thunderbolt"), matters=True)
    for port in machine.links:
        if port.gbps is not None and port.gbps < RDMA_GBPS:
            return topic.failed("link_too_slow", f"{port.gbps} Gb/s", receptacle=port.receptacle or "?")
    if machine.ability == "unknown" or any(port.gbps is None for port in machine.links):
        return topic.unknown("", f"speeds of {_speeds(machine.ports)}; {machine.chip or 'no chip named'}", matters=True)
    return topic.ok(f"Thunderbolt 5; Macs plugged in: {len(machine.links)}", _speeds(machine.ports))


def _rdma_ctl(topic: Topic, situation: Situation) -> Check:
    evidence = _quote(situation.answers, "rdma_ctl_status", "nvram_rdma_enable")
    match situation.machine.is_enabled:
        case True:
            return topic.ok("RDMA is enabled", evidence)
        case False:
            return topic.failed("rdma_disabled", evidence)
        case None:
            return topic.unknown("", evidence, matters=True)


def _devices(topic: Topic, situation: Situation) -> Check:
    devices = situation.machine.devices
    if devices is None:
        return topic.unknown("", _quote(situation.answers, "ibv_devices"), matters=True)
    return topic.ok(", ".join(devices)) if devices else topic.failed("rdma_no_devices", "`ibv_devices` lists none")


def _port(topic: Topic, situation: Situation) -> Check:
    machine = situation.machine
    states = {device: machine.states.get(device) for device in machine.linked_devices}
    evidence = ", ".join(f"{device} {state or 'not said'}" for device, state in states.items())
    down = [device for device, state in states.items() if state not in (ACTIVE, None)]
    if down:
        plugged = "" if machine.links or machine.ports is None else "; no other Mac is plugged in"
        return topic.failed("port_down", evidence + plugged, device=down[0])
    if not states or None in states.values():
        return topic.unknown("", evidence or "no device is known, so `ibv_devinfo` was not asked", matters=True)
    return topic.ok(evidence)


def _network(topic: Topic, situation: Situation) -> Check:
    machine = situation.machine
    wanted = [device.removeprefix("rdma_") for device in machine.linked_devices]
    if machine.interfaces is None or not wanted:
        return topic.unknown("", _quote(situation.answers, "ifconfig"), matters=True)
    addresses = {one.name: one.ipv4 for one in machine.interfaces}
    for name in wanted:
        bridge = bridge_of(name, machine.interfaces)
        if bridge is not None:
            return topic.failed("port_in_bridge", f"{bridge} has the member {name}", interface=name, bridge=bridge)
    for name in wanted:
        if not addresses.get(name):
            return topic.failed("port_without_ipv4", f"ifconfig shows no inet of {name}", interface=name)
    return topic.ok(", ".join(f"{name} {addresses[name][0]}" for name in wanted))


def _cable(topic: Topic, situation: Situation) -> Check:
    machine, peers = situation.machine, {name: peer for name, peer in situation.peers.items() if peer.is_mac}
    own = next((node for node in situation.cluster.nodes if node.is_self), None) if situation.cluster else None
    if not peers and own and machine.links and own.cabled.issuperset(machine.linked_devices):
        return topic.ok(f"{', '.join(sorted(own.cabled))}: nodes of the cluster see the other end")
    if not peers or machine.ports is None:
        return topic.skipped(
            "what the other Mac sees of its cable is not known; record it there with `realignctl doctor --record "
            "FOLDER` and give that here with --peer FOLDER"
        )
    if any(peer.ports is None for peer in peers.values()):
        return topic.unknown("what another Mac sees of its cables could not be read", matters=True)
    ends = {port.domain: (name, port) for name, peer in peers.items() for port in peer.ports or ()}
    for port in machine.links:
        if astray := _astray(port, ends):
            return topic.failed("wrong_cable_end", astray, receptacle=port.receptacle or "?")
    return topic.ok(f"cables seen alike from both ends: {len(machine.links)}")


def _astray(port: Port, ends: Mapping[str, tuple[str, Port]]) -> str:
    """Where the port's cable leads instead of to a port that says the same of it; "" when it does."""
    name, end = ends.get(port.peer, ("", None))
    if end is None:
        return (
            f"it leads to {port.peer}, which is no port of {' or '.join(sorted({node for node, _ in ends.values()}))}"
        )
    return "" if end.peer == port.domain else f"it leads to {name}, whose port sees {end.peer or 'nothing'} there"


def _self_test(topic: Topic, situation: Situation) -> Check:
    result = situation.self_test
    match result.outcome:
        case "passed":
            return topic.ok("the last group over the link computed exactly", result.detail)
        case "hang":
            return topic.failed("self_test_hung", result.detail)
        case "wrong_value":
            return topic.failed("self_test_wrong", result.detail)
        case "wrong_size" | "failed":
            return topic.failed("self_test_failed", f"{result.outcome}: {result.detail}")
        case "not_run":
            return topic.skipped(
                "no group of which this node is the head has used RDMA since the daemon's start; each proves its links "
                "when it forms"
            )


def _speeds(ports: tuple[Port, ...]) -> str:
    shown_ports = (f"{port.gbps or '?'} Gb/s" for port in ports)
    return ", ".join(shown_ports) or "no Thunderbolt port"


def _quote(answers: Answers, *names: str) -> str:
    """What the commands said, or why there is nothing to quote."""
    parts: list[str] = []
    for name in names:
        answer = answers.get(name)
        if answer is None:
            parts.append(f"{name}: not on this machine")
        elif answer.status is None:
            parts.append(f"{name}: no answer in time")
        else:
            failed = f" (exit status {answer.status})" if answer.status else ""
            parts.append(f"{name}{failed}: {answer.text.strip() or 'nothing'}")
    return "; ".join(parts)


STEPS: tuple[tuple[Topic, Step], ...] = (
    (Topic(id="macos", title="macOS"), _macos),
    (Topic(id="mlx", title="MLX"), _mlx),
    (Topic(id="thunderbolt", title="Thunderbolt 5"), _thunderbolt),
    (Topic(id="rdma_ctl", title="RDMA enabled"), _rdma_ctl),
    (Topic(id="rdma_devices", title="RDMA devices"), _devices),
    (Topic(id="rdma_port", title="RDMA port"), _port),
    (Topic(id="rdma_network", title="address of the port"), _network),
    (Topic(id="cable", title="both ends of the cable"), _cable),
    (Topic(id="self_test", title="test of the link"), _self_test),
)
