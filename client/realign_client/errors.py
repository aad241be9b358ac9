"""ClientError: what ends a command early, one class for each thing that a person can act on.

    ClientError
    ├── BadUsage      2  an option or a source is wrong: change it
    ├── NoCluster     4  no daemon answers, or it does not let this caller in
    ├── Ambiguous     5  the request means two things and nobody can be asked
    ├── Damaged       1  what arrived is not what was sent
    ├── LocalFailure  1  a daemon or a service command that was started here failed
    └── Refused       *  the daemon said no; it says with which exit code
        └── UnknownJob   it knows nothing of what was named

The figure is the exit code for the shell. The text of every error is one sentence: what happened, to what, what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import grpc
import grpc.aio

from realign_proto.handshake import explain_handshake

EXIT_KEY = "realign-exit"  # trailing metadata in which a daemon puts the exit code
INTERRUPTED = 130  # what a shell expects of a program that Ctrl-C ended


class ClientError(Exception):
    """Something the user can understand; `str` gives the sentence."""

    exit_code: int = 1


class BadUsage(ClientError):
    """An option, a file or a source is wrong; nothing was sent."""

    exit_code = 2


class NoCluster(ClientError):
    """No daemon answers, or it does not let this caller in."""

    exit_code = 4


class Ambiguous(ClientError):
    """The request means two things and nobody can be asked."""

    exit_code = 5


class Damaged(ClientError):
    """What arrived is not what was sent, or would land outside the folder that it was meant for."""


class LocalFailure(ClientError):
    """A daemon or a service command that this client started has failed."""


class Refused(ClientError):
    """The daemon said no, and why."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UnknownJob(Refused):
    """No node that can be reached has the job."""


# For daemons that send no exit code, and for what gRPC says by itself.
EXIT_OF_STATUS: Mapping[grpc.StatusCode, int] = MappingProxyType(
    {
        grpc.StatusCode.INVALID_ARGUMENT: 2,
        grpc.StatusCode.NOT_FOUND: 2,
        grpc.StatusCode.UNAVAILABLE: 4,
        grpc.StatusCode.DEADLINE_EXCEEDED: 4,
        grpc.StatusCode.PERMISSION_DENIED: 4,
        grpc.StatusCode.UNAUTHENTICATED: 4,
        grpc.StatusCode.UNIMPLEMENTED: 4,
    }
)


def error_of_call(failure: grpc.aio.AioRpcError, target: str) -> ClientError:
    """What a failed call to `target` means for the person who made it."""
    trailing = failure.trailing_metadata()
    text = trailing.get(EXIT_KEY) if trailing is not None else None
    details = failure.details() or "it gave no reason"
    refused = UnknownJob if failure.code() is grpc.StatusCode.NOT_FOUND else Refused
    if isinstance(text, str) and text.isascii() and text.isdigit():
        return refused(details, int(text))
    match failure.code():
        case grpc.StatusCode.UNAVAILABLE:
            explained = None if target.startswith("unix:") else explain_handshake(failure.details() or "")
            if explained is not None:
                return NoCluster(f"{target}: {explained}")
            return NoCluster(f"no daemon answers at {target}; start one with `realignctl daemon start` or `realignd`")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return NoCluster(f"the daemon at {target} did not answer in time; see `realignctl daemon logs` there")
        case grpc.StatusCode.UNIMPLEMENTED:
            return NoCluster(f"the daemon at {target} is too old for this command; upgrade it")
        case code:
            return refused(f"the daemon at {target} failed: {details}", EXIT_OF_STATUS.get(code, 1))
