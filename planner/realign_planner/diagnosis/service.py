"""Service: how the daemon was started, and what the firewall lets in, as macOS tells."""

from __future__ import annotations

import re
from typing import Literal

from realign_planner.diagnosis.answer import Answer, Answers, said

Kind = Literal["daemon", "agent", "none", "unknown"]
Firewall = Literal["off", "on", "blocks_all", "unknown"]

_TYPE = re.compile(
    r"^[ \t]*type = (Launch\w{1,10})|^[ \t]*path = \S{0,300}/(LaunchAgents|LaunchDaemons)/", re.MULTILINE
)
_STATE = re.compile(r"\(State = (\d)\)")


def kind_of_service(answers: Answers) -> Kind:
    """Whether launchd runs realignd for the system or for a user who is logged in."""
    printed = [text for name in ("launchctl_system", "launchctl_user") if (text := said(answers, name)) is not None]
    kinds = {match[1] or match[2] for text in printed for match in [_TYPE.search(text)] if match}
    if kinds & {"LaunchAgent", "LaunchAgents"}:
        return "agent"
    if kinds & {"LaunchDaemon", "LaunchDaemons"}:
        return "daemon"
    if printed:
        return "unknown"
    refused = [answers.get(name) for name in ("launchctl_system", "launchctl_user")]
    return "none" if all(answer is not None and answer.status for answer in refused) else "unknown"


def firewall(state: Answer | None, block_all: Answer | None) -> Firewall:
    """What the application firewall does with connections from outside."""
    blocks = block_all.text.lower() if block_all is not None and block_all.status == 0 else ""
    if re.search(r"block all[^\n]{0,40}(?:enabled|\bon\b)", blocks):
        return "blocks_all"
    text = state.text if state is not None and state.status == 0 else ""
    number = _STATE.search(text)
    match number[1] if number else "":
        case "0":
            return "off"
        case "1":
            return "on"
        case "2":
            return "blocks_all"
        case _:
            return "unknown"
