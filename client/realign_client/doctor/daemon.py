"""What the daemon says for doctor: its status, as far as doctor reads it, and the Python that it runs on."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from realign_client.api import Client, connect
from realign_client.data_folder import is_in_use
from realign_client.doctor.programs import DEADLINE_S
from realign_client.endpoint import ENDPOINT_VARIABLE, data_dir, local_endpoint
from realign_client.errors import BadUsage, ClientError
from realign_client.plain import plain_status
from realign_client.service import launchd, systemd
from realign_planner.diagnosis.answer import Answer


async def ask_daemon(endpoint: str | None) -> dict[str, Answer]:
    """Of the one that is named, or else of this machine's; nothing where none is installed.

    Raises:
        BadUsage: what is named is no endpoint.
    """
    named = endpoint or os.environ.get(ENDPOINT_VARIABLE) or local_endpoint()
    if named is None:
        silent = _silent()
        return {"daemon_status": Answer(text=silent, status=1)} if silent else {}
    try:
        async with asyncio.timeout(DEADLINE_S), connect(named) as client:
            answers = {"daemon_status": Answer(text=json.dumps(_shortened(plain_status(await client.status()))))}
            return answers | await _interpreter(client)
    except BadUsage:  # the endpoint is none
        raise
    except ClientError as error:
        return {"daemon_status": Answer(text=str(error), status=1)}
    except TimeoutError:
        return {"daemon_status": Answer(text=f"the daemon at {named} took longer than {DEADLINE_S:.0f} s", status=1)}


async def _interpreter(client: Client) -> dict[str, Answer]:
    try:
        described = (await client.description()).interpreter_json
    except ClientError:  # a caller with fewer rights; then the installed service is asked
        return {}
    return {"interpreter": Answer(text=described)} if described else {}


def _silent() -> str:
    """Why a daemon should answer; "" where nothing says so."""
    service_file = launchd.PLIST if sys.platform == "darwin" else systemd.UNIT_FILE
    if is_in_use(data_dir()):
        return f"a daemon holds {data_dir()} and accepts no connection"
    return f"{service_file} is there, and nothing accepts connections" if service_file.exists() else ""


def _shortened(status: dict[str, Any]) -> dict[str, Any]:
    """Without jobs, addresses, models and all else that doctor has no use for."""
    return {
        "node": {key: status["node"][key] for key in ("id", "uptime_s")},
        "members": [
            {
                **{key: member[key] for key in ("id", "name", "state", "dials_here", "is_dialled")},
                "facts": _shortened_facts(member["facts"]),
            }
            for member in status["members"]
        ],
        "refused": [{"reason": one["reason"]} for one in status["refused"]],
    }


def _shortened_facts(facts: dict[str, Any] | None) -> dict[str, Any] | None:
    if facts is None:
        return None
    benchmark: dict[str, Any] | None = facts["benchmark"]
    return {
        "os": facts["os"],
        "benchmark": {"version": benchmark["version"]} if benchmark else None,
        "rdma": [{"device": port["device"]} for port in facts["rdma"]],
    }
