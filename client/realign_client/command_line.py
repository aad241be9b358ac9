"""The command line: every command, its options and its help. Loads only the command that was asked for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from types import MappingProxyType

import typer

from realign_client.endpoint import ENDPOINT_VARIABLE
from realign_client.errors import INTERRUPTED, BadUsage
from realign_client.options import Endpoint
from realign_client.terminal import note

# name -> module and function
COMMANDS = MappingProxyType(
    {
        "demo": ("demo", "demo"),
        "plan": ("plan", "plan"),
        "submit": ("submit", "submit"),
        "jobs": ("jobs", "jobs"),
        "show": ("jobs", "show"),
        "watch": ("jobs", "watch"),
        "cancel": ("jobs", "cancel"),
        "pause": ("jobs", "pause"),
        "resume": ("jobs", "resume"),
        "retry": ("jobs", "retry"),
        "adopt": ("jobs", "adopt"),
        "fetch": ("jobs", "fetch"),
        "rm": ("housekeeping", "rm"),
        "sample": ("data", "sample"),
        "why": ("data", "why"),
        "drop": ("data", "drop"),
        "status": ("status", "status"),
        "nodes": ("status", "nodes"),
        "bench": ("status", "bench"),
        "doctor": ("doctor", "doctor"),
        "cluster": ("cluster", "app"),
        "gc": ("housekeeping", "gc"),
        "report": ("housekeeping", "report"),
        "node": ("node", "app"),
        "models": ("models", "app"),
        "daemon": ("daemon", "app"),
    }
)
HELP = "Turns documents into training data on a few of your own machines."
EXIT_CODES = """\
Exit codes: 0 done (also with errors in single units, which are listed) - 1 the job failed or was cancelled, or nothing
fits - 2 wrong usage or input - 3 a quality gate blocks the job - 4 no cluster answers, or it does not allow this -
5 the request is ambiguous and nobody can be asked - 10 to 39 what doctor found, see docs/doctor.md - 130 interrupted; a
submitted job goes on."""


def run_command(arguments: Sequence[str]) -> int:
    """Runs a command; its exit code. Raises ClientError, also for options and commands that there are not."""
    command = _app(arguments)
    try:
        code = command(list(arguments) or ["--help"], prog_name="realignctl", standalone_mode=False)
    except typer.TyperException as error:
        raise BadUsage(f"{error.format_message().rstrip('.')}; see `realignctl --help`") from error
    except typer.Abort:
        note("interrupted")
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _app(arguments: Sequence[str]) -> typer.Typer:
    """The command that the arguments name, or all of them for help and for a name that is none."""
    named = next((argument for argument in arguments if argument in COMMANDS), None)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback(help=HELP, epilog=EXIT_CODES)(_root)
    for name in [named] if named else COMMANDS:
        module_name, attribute = COMMANDS[name]
        command = getattr(importlib.import_module(f"realign_client.commands.{module_name}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, epilog=EXIT_CODES)(command)
    return app


def _root(endpoint: Endpoint = None) -> None:
    if endpoint:
        os.environ[ENDPOINT_VARIABLE] = endpoint
