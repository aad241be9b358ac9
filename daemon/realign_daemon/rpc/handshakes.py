"""Handshakes: callers that TLS turns away, for the audit. gRPC says of them what it writes to its log, and no more."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from realign_daemon.clock import Clock
from realign_daemon.rpc.auditing import record
from realign_daemon.rpc.authorisation import STRANGER
from realign_daemon.shortage import outlasted
from realign_daemon.trust.audit import AuditTrail, Deed
from realign_daemon.trust.denials import Denials

LOOK_EVERY_S = 1.0  # this node hears within milliseconds which of its own dials failed
MAX_BYTES = 1024 * 1024  # of the log; then it begins anew
METHOD = "TLS"

# What a line has in it (grpcio 1.85.1, each provoked by a test over loopback), and what that means.
_FAILED = "Handshake failed"
_NO_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE"
_CAUSES = {
    _NO_CERTIFICATE: "it showed no certificate",
    "unable to get local issuer certificate": "its certificate is of another cluster",
    "self signed certificate": "its certificate is of no cluster",
    "certificate has expired": "its certificate has expired",
    "certificate is not yet valid": "its certificate is not valid yet",
    "unsupported certificate purpose": "its certificate is for something else",
    "WRONG_VERSION_NUMBER": "it showed no certificate: it did not speak TLS",
    "HTTP_REQUEST": "it showed no certificate: it did not speak TLS",
}


class Handshakes:
    """Follows the log, where there is one. A reason that repeats itself gets a line a minute, with their number.

    Who it was gRPC does not say. Nor does it tell this node's own dials from calls: while one of them fails, only what
    none of them can be is written down.
    """

    def __init__(self, log: Path, *, audit: AuditTrail, dials_in_vain: Callable[[], bool], clock: Clock) -> None:
        """`dials_in_vain` is asked before and after lines came."""
        self._log = log
        self._audit = audit
        self._dials_in_vain = dials_in_vain
        self._clock = clock
        self._denials = {reason: Denials() for reason in _CAUSES.values()}

    async def run(self) -> None:
        """Audits what comes from now on, until cancelled, or until there is no log."""
        offset, dialled = self._log.stat().st_size if self._log.exists() else 0, False
        while self._log.exists():
            lines: list[str] = []
            with outlasted("handshakes.not_read"):
                lines, offset = await asyncio.to_thread(_read, self._log, offset)
            await self._clock.sleep(LOOK_EVERY_S)
            dialled, dialled_before = self._dials_in_vain(), dialled
            for reason in _reasons(lines, is_unclear=dialled or dialled_before):
                deed = Deed(actor=STRANGER, role="", method=METHOD, outcome=reason)
                written = self._denials[reason].note(deed, now_s=self._clock.continuous())
                if written is not None:
                    await record(self._audit, written)


def _read(log: Path, offset: int) -> tuple[list[str], int]:
    with log.open("r+b") as file:
        file.seek(offset)
        new = file.read(MAX_BYTES)
        whole = new[: new.rfind(b"\n") + 1]
        offset += len(whole)
        if offset >= MAX_BYTES:
            os.ftruncate(file.fileno(), 0)  # whoever writes appends
            offset = 0
    return whole.decode(errors="replace").splitlines(), offset


def _reasons(lines: list[str], *, is_unclear: bool) -> Iterator[str]:
    for line in lines:
        if _FAILED in line and (not is_unclear or _NO_CERTIFICATE in line):
            mark = next((mark for mark in _CAUSES if mark in line), None)
            if mark is not None:
                yield _CAUSES[mark]
