"""Fault: an error as it travels over gRPC. Pure, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote

import grpc

from realign_daemon import errors
from realign_daemon.shortage import Shortage, shortage

EXIT_KEY = "realign-exit"  # trailing metadata: the exit code for the shell
MESSAGE_BYTES = 6_000  # of a status message as it travels, percent-encoded: all metadata together have 8 KiB
MESSAGE_SHOWN = 400  # characters, each of which takes twelve bytes at most
INTERNAL_MESSAGE = "internal error, see the daemon's log"
SHORTAGES: Mapping[Shortage, str] = MappingProxyType(
    {
        "disk": "the disk of {} is full; free some space there, then try again",
        "files": "{} has as many files open as it may; try again in a moment",
    }
)

STATUS: Mapping[type[errors.RealignError], grpc.StatusCode] = MappingProxyType(
    {
        errors.BadInput: grpc.StatusCode.INVALID_ARGUMENT,
        errors.BadConfig: grpc.StatusCode.INVALID_ARGUMENT,
        errors.NotFound: grpc.StatusCode.NOT_FOUND,
        errors.WrongState: grpc.StatusCode.FAILED_PRECONDITION,
        errors.NothingFits: grpc.StatusCode.FAILED_PRECONDITION,
        errors.HubUnreachable: grpc.StatusCode.ABORTED,
        errors.Full: grpc.StatusCode.RESOURCE_EXHAUSTED,
        errors.Damaged: grpc.StatusCode.DATA_LOSS,
        errors.DirectoryInUse: grpc.StatusCode.ALREADY_EXISTS,
        errors.InternalFault: grpc.StatusCode.INTERNAL,
        errors.BlockedByGate: grpc.StatusCode.FAILED_PRECONDITION,
        errors.NotAllowed: grpc.StatusCode.PERMISSION_DENIED,
        errors.Incompatible: grpc.StatusCode.FAILED_PRECONDITION,
        errors.Unreachable: grpc.StatusCode.UNAVAILABLE,
        errors.Ambiguous: grpc.StatusCode.FAILED_PRECONDITION,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a failed call carries."""

    code: grpc.StatusCode
    message: str
    exit_code: int


def fault_of(error: BaseException, *, node: str = "this node") -> Fault:
    """How an error travels. One that is not a RealignError says nothing of itself: its details stay in the log.

    But for one that says what `node`, the one that it came from, has run out of.
    """
    if (lacking := shortage(error)) is not None:
        error = errors.Full(SHORTAGES[lacking].format(node))
    if not isinstance(error, errors.RealignError):
        return Fault(code=grpc.StatusCode.INTERNAL, message=INTERNAL_MESSAGE, exit_code=1)
    code = next((STATUS[cls] for cls in type(error).__mro__ if cls in STATUS), grpc.StatusCode.INTERNAL)
    return Fault(code=code, message=_fitting(str(error)), exit_code=error.exit_code)


def _fitting(message: str) -> str:
    """The sentence, or the beginning of one that would be too long for a status: it names something very long."""
    message = message.encode(
        errors="replace"
    ).decode()  # JSON can name halves of characters, which nothing else carries
    return message if len(quote(message)) <= MESSAGE_BYTES else f"{message[:MESSAGE_SHOWN]}…"


def error_of(code: grpc.StatusCode, message: str, exit_code: int | None = None) -> errors.RealignError:
    """The error that a fault stood for: of its status, and where several share one, of its exit code.

    Statuses that gRPC makes by itself (UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED) mean that the node was not reached.
    """
    sharing = [cls for cls, status in STATUS.items() if status is code]
    exact = [cls for cls in sharing if cls.exit_code == exit_code]
    if exact:
        return exact[0](message)
    if sharing:
        return sharing[0](message)
    if code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return errors.Unreachable(message)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return errors.Incompatible(f"the node's realign is too old for this ({message}); upgrade it")
    return errors.InternalFault(message)


def error_of_call(failure: grpc.aio.AioRpcError) -> errors.RealignError:
    """The error that a failed call stood for."""
    trailing = failure.trailing_metadata()
    text = trailing.get(EXIT_KEY) if trailing is not None else None
    exit_code = int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else None
    return error_of(failure.code(), failure.details() or "the node gave no reason", exit_code)
