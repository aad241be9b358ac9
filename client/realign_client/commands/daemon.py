"""Daemon commands: realignd as a service of this machine, under launchd on macOS and systemd on Linux."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from realign_client.credentials import client_dir
from realign_client.errors import BadUsage
from realign_client.options import Yes
from realign_client.service import launchd, systemd
from realign_client.service.machine import this_machine
from realign_client.service.purge import check_folder, purge_lines
from realign_client.service.purge import purge as remove_all
from realign_client.service.steps import RunProgram, Step, perform
from realign_client.terminal import agreed, say

app = typer.Typer(rich_markup_mode=None, help="Run realignd as a service of this machine.")
DECLINED = 1
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be written and run; change nothing.")]


@app.command()
def install(*, dry_run: DryRun = False) -> None:
    """Install realignd for this user, start it now and at every boot."""
    machine = this_machine()
    _perform(launchd.install(machine), systemd.install(machine), dry_run=dry_run)


@app.command()
def uninstall(
    *,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove the data directory, too: jobs, results, keys.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Stop realignd and remove the service; the data directory stays, unless --purge is given."""
    if purge:
        _purge(yes=yes, dry_run=dry_run)
    else:
        _perform(launchd.uninstall(), systemd.uninstall(), dry_run=dry_run)


@app.command()
def start(*, dry_run: DryRun = False) -> None:
    """Start the installed service."""
    _perform(launchd.start(), systemd.start(), dry_run=dry_run)


@app.command()
def stop(*, dry_run: DryRun = False) -> None:
    """Stop the service; running jobs go on when it starts again."""
    _perform(launchd.stop(), systemd.stop(), dry_run=dry_run)


@app.command()
def status(*, dry_run: DryRun = False) -> None:
    """Show what the operating system says of the service."""
    _perform(launchd.status(), systemd.status(), dry_run=dry_run)


@app.command()
def logs(*, dry_run: DryRun = False) -> None:
    """Show the end of the log and follow it until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        follow_log = (RunProgram(arguments=("tail", "-n", "100", "-F", str(this_machine().log)), as_root=False),)
        _perform(follow_log, follow_log, dry_run=dry_run)


def _purge(*, yes: bool, dry_run: bool) -> None:
    machine = this_machine()
    service_file = launchd.PLIST if sys.platform == "darwin" else systemd.UNIT_FILE
    has_service = service_file.exists()
    check_folder(machine.data_dir, home=machine.home)
    lines = purge_lines(machine.data_dir, service_file if has_service else None)
    say(lines or "there is nothing of realign on this machine")
    if not lines or (not dry_run and not agreed("Remove all of this for good?", yes=yes)):
        raise typer.Exit(DECLINED if lines else 0)
    if has_service:
        _perform(launchd.uninstall(), systemd.uninstall(), dry_run=dry_run)
    if not dry_run:
        remove_all(machine.data_dir)
        say(f"realign is gone from this machine, but for what was installed with Python and {client_dir()}, if any")


def _perform(on_macos: Sequence[Step], on_linux: Sequence[Step], *, dry_run: bool) -> None:
    match sys.platform:
        case "darwin":
            perform(on_macos, dry_run=dry_run)
        case "linux":
            perform(on_linux, dry_run=dry_run)
        case other:
            raise BadUsage(f"there is no service for {other}; run `realignd` by hand")
