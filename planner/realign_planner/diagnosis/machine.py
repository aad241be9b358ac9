"""Machine: one machine of the cluster as its commands described it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from realign_planner.diagnosis.answer import Answers, Version, lines_of, said, version_of
from realign_planner.diagnosis.interfaces import Interface, read_interfaces, read_thunderbolt_interfaces
from realign_planner.diagnosis.rdma import is_enabled, is_off_in_nvram, port_states, read_devices
from realign_planner.diagnosis.software import Software, read_software
from realign_planner.diagnosis.thunderbolt import Ability, Port, ability, read_ports

_PRODUCT = re.compile(r"ProductVersion:\s{0,20}")
_BUILD = re.compile(r"\d{1,3}[A-Z]\d{1,6}[a-z]?")
BRAND_CHARACTERS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is None could not be read."""

    is_mac: bool
    macos: Version | None
    build: str  # "25D125"; "" when it is not said
    chip: str  # "" when it is not said
    ports: tuple[Port, ...] | None
    ability: Ability
    is_enabled: bool | None
    devices: tuple[str, ...] | None
    states: Mapping[str, str]  # of devices
    interfaces: tuple[Interface, ...] | None
    interface_of: Mapping[str, str]  # receptacle -> interface
    software: Software | None

    @property
    def links(self) -> tuple[Port, ...]:
        """The ports with a Mac at the other end."""
        return tuple(port for port in self.ports or () if port.peer)

    @property
    def cabled(self) -> tuple[tuple[str, Port], ...]:
        """Those of them with a device that `ibv_devices` lists, and its name."""
        named = ((f"rdma_{self.interface_of.get(port.receptacle, '')}", port) for port in self.links)
        return tuple((device, port) for device, port in named if device in (self.devices or ()))

    @property
    def linked_devices(self) -> tuple[str, ...]:
        """The devices of those ports; where ports cannot be told apart all that are active, and else all."""
        named = (self.interface_of.get(port.receptacle) for port in self.links)
        linked = tuple(f"rdma_{name}" for name in named if name is not None)
        if linked and all(device in (self.devices or ()) for device in linked):
            return linked
        active = tuple(device for device, state in self.states.items() if state == "PORT_ACTIVE")
        return active or self.devices or ()


def read_machine(answers: Answers) -> Machine:
    """The machine that gave these answers."""
    chip = next(iter(lines_of(said(answers, "sysctl_brand_string"))), "")[:BRAND_CHARACTERS]
    ports = read_ports(said(answers, "system_profiler_thunderbolt"))
    devices = read_devices(said(answers, "ibv_devices"))
    enabled = is_enabled(answers.get("rdma_ctl_status"))
    return Machine(
        is_mac="sw_vers" in answers,
        macos=_macos(said(answers, "sw_vers")),
        build=next((line for line in lines_of(said(answers, "sw_vers_build")) if _BUILD.fullmatch(line)), ""),
        chip=chip,
        ports=ports,
        ability=ability(chip, ports),
        is_enabled=False if is_off_in_nvram(said(answers, "nvram_rdma_enable")) else enabled,
        devices=devices,
        states=port_states(answers, devices or ()),
        interfaces=read_interfaces(said(answers, "ifconfig")),
        interface_of=read_thunderbolt_interfaces(said(answers, "networksetup_hardware_ports")),
        software=read_software(said(answers, "interpreter")),
    )


def _macos(text: str | None) -> Version | None:
    versions = (version_of(_PRODUCT.sub("", line, count=1)) for line in lines_of(text))
    return next((version for version in versions if version is not None), None)
