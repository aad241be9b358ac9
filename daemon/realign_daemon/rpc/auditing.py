"""Auditing: lines of the audit as servicers write them, whose deeds are done whether the disk takes the line or not."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict

import structlog

from realign_daemon.errors import DiskFailed
from realign_daemon.trust.audit import AuditTrail, Deed

log = structlog.get_logger()


async def record(audit: AuditTrail, deed: Deed) -> None:
    """Writes the line; where its disk takes no more the daemon's log has it."""
    try:
        await audit.record(deed)
    except (sqlite3.OperationalError, DiskFailed) as error:
        log.error("audit.not_written", **asdict(deed), reason=str(error), remedy="free some disk space")  # noqa: TRY400 - a state, no surprise
