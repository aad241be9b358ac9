"""Cables: this Mac's Thunderbolt cables that RDMA goes over. Names change with every restart: they are never kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from realign_daemon.cluster.facts import Cable
from realign_daemon.host.interpreter import describe_interpreter
from realign_daemon.host.program import answer_of
from realign_planner.diagnosis.answer import Answer, Answers, said
from realign_planner.diagnosis.commands import COMMON, DEVICE_INFO, MACOS, device_answer
from realign_planner.diagnosis.diagnosis import has_rdma
from realign_planner.diagnosis.machine import read_machine
from realign_planner.diagnosis.rdma import is_enabled, read_devices

Ask = Callable[..., Answer | None]  # a program and its arguments -> what it says; None when it is not there

_SWITCH = "rdma_ctl_status"
_CABLES = ("system_profiler_thunderbolt", "networksetup_hardware_ports", "ibv_devices")
_FITNESS = ("sw_vers", "sysctl_brand_string", "nvram_rdma_enable", "ifconfig")


def plugged_cables(ask: Ask = answer_of) -> tuple[Cable, ...]:
    """All that there are now, as a group that forms needs them. Blocks: call it in a thread."""
    return _read(_answers(_CABLES, ask))


def fit_cables(ask: Ask = answer_of, describe: Callable[[], str] = describe_interpreter) -> tuple[Cable, ...]:
    """Those that a group may be planned over. Blocks: call it in a thread. Where RDMA is off nothing else is asked."""
    switch = _answers((_SWITCH,), ask)
    if not is_enabled(switch.get(_SWITCH)):
        return ()
    answers = {**switch, **_answers((*_CABLES, *_FITNESS), ask), "interpreter": Answer(text=describe())}
    for device in read_devices(said(answers, "ibv_devices")) or ():
        if (answer := ask(*(part.format(device=device) for part in DEVICE_INFO))) is not None:
            answers[device_answer(device)] = answer
    return _read(answers) if has_rdma(answers) else ()


def _read(answers: Answers) -> tuple[Cable, ...]:
    return tuple(
        Cable(device=device, domain=port.domain, peer_domain=port.peer) for device, port in read_machine(answers).cabled
    )


def _answers(names: Iterable[str], ask: Ask) -> dict[str, Answer]:
    said_by = {name: ask(*{**COMMON, **MACOS}[name]) for name in names}
    return {name: answer for name, answer in said_by.items() if answer is not None}
