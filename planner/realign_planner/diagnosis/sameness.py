"""Sameness: whether the nodes run the same macOS and MLX, as a sharded model needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from realign_planner.diagnosis.answer import shown
from realign_planner.diagnosis.check import Check, Topic
from realign_planner.diagnosis.machine import Machine
from realign_planner.diagnosis.situation import Situation

TOPIC = Topic(id="same_versions", title="same versions on all nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Versions:
    """Of one node, each "" where it is not known."""

    name: str
    macos: str
    build: str
    mlx: str


def compare_versions(situation: Situation) -> Check:
    """This machine with those that were recorded, and what the nodes tell each other of themselves.

    The two are kept apart: a daemon's Python may know its macOS by another number than macOS does.
    """
    own, cluster = _of_machine("this machine", situation.machine), situation.cluster
    recorded = [own, *(_of_machine(name, peer) for name, peer in situation.peers.items())]
    told = [_Versions(name=n.name, macos=n.macos, build="", mlx=n.mlx) for n in (cluster.nodes if cluster else ())]
    for group in (recorded, told):
        systems = _systems(group)
        if situation.machine.ability != "no" and len(set(systems.values())) > 1:
            return TOPIC.failed("nodes_differ", _listed(systems), what="macOS")
        engines = {node.name: node.mlx for node in group if node.mlx}
        if len(set(engines.values())) > 1:
            return TOPIC.failed("nodes_differ", _listed(engines), what="MLX")
    if max(len(recorded), len(told)) == 1:
        return TOPIC.skipped("no other node is known")
    return TOPIC.ok("no difference is known")


def _of_machine(name: str, machine: Machine) -> _Versions:
    return _Versions(
        name=name,
        macos=shown(machine.macos) if machine.macos else "",
        build=machine.build,
        mlx=machine.software.mlx_text if machine.software else "",
    )


def _systems(group: Iterable[_Versions]) -> Mapping[str, str]:
    """Name -> macOS, with the builds where all are known: those of one version differ, too (betas)."""
    known = [node for node in group if node.macos]
    with_build = all(node.build for node in known)
    return {node.name: f"{node.macos} {node.build}".strip() if with_build else node.macos for node in known}


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {version}" for name, version in versions.items())
