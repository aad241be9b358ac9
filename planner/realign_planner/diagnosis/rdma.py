"""RDMA: what macOS says of it: whether it is enabled, its devices, and whether their ports are active."""

from __future__ import annotations

import re
from collections.abc import Mapping

from realign_planner.diagnosis.answer import Answer, Answers, lines_of, said
from realign_planner.diagnosis.commands import device_answer

ACTIVE = "PORT_ACTIVE"

_DEVICE = re.compile(r"^[ \t]*(rdma_[a-z]+\d{1,4})\b", re.MULTILINE)
_HCA = re.compile(r"^[ \t]*hca_id:[ \t]*(\S{1,40})|^[ \t]*state:[ \t]*(PORT_[A-Z_]{1,20})", re.MULTILINE)
_OFF = frozenset({"0", "%00", "%00%00%00%00", "false", "no"})


def is_enabled(status: Answer | None) -> bool | None:
    """What `rdma_ctl status` says; None when that is neither yes nor no, or yes with a failure beside it."""
    text = (status.text if status is not None and status.status is not None else "").lower()
    if re.search(r"\bdisabled\b|\bnot enabled\b", text):
        return False
    is_yes = re.search(r"\benabled\b", text) is not None and not re.search(r"\bnot\b|\berror\b|\bunable\b", text)
    return True if is_yes and status is not None and status.status == 0 else None


def is_off_in_nvram(text: str | None) -> bool:
    """Whether `nvram rdma-enable` shows a value that surely means off: many may not read it, and formats differ."""
    values = [line.split()[-1].lower() for line in lines_of(text) if line.startswith("rdma-enable") and line.split()]
    return any(value in _OFF for value in values)


def read_devices(text: str | None) -> tuple[str, ...] | None:
    """The devices that `ibv_devices` lists; None when it printed something else."""
    if text is None:
        return None
    devices = tuple(dict.fromkeys(_DEVICE.findall(text)))
    is_list = not text.strip() or "device" in text.lower()
    return devices if devices or is_list else None


def port_states(answers: Answers, devices: tuple[str, ...]) -> Mapping[str, str]:
    """PORT_ACTIVE, PORT_DOWN, … of those devices whose `ibv_devinfo` says it."""
    states: dict[str, str] = {}
    for device in devices:
        named = device
        for hca, state in _HCA.findall(said(answers, device_answer(device)) or ""):
            named = hca or named
            if state and named in devices:
                states.setdefault(named, state)
    return states
