"""Log failures: what MLX, the system and the network said in the daemon's log, as causes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

START = "server.listening"  # the daemon's event at its start: what was before it is over
LINE_CHARACTERS = 2_000  # of a line that are searched: a traceback is one line of JSON
AROUND = 100  # characters beside a match that are quoted

# Cause -> what it looks like, after MLX's own texts (mlx/distributed/jaccl/lib/jaccl/rdma.cpp, mlx/distributed/ring/
# ring.cpp and the side channel's errors) and its issues #3162, #3467, #4209. Errno 96 is what RTR says once a device
# has lost its protection domains.
_RDMA = r"(?:jaccl|queue pair|ibv_|rdma)"
_PATTERNS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        name: re.compile(pattern, re.IGNORECASE)
        for name, pattern in {
            "wrong_wheel": r"Cannot initialize jaccl distributed backend",
            "port_without_ipv4": r"No IPv4-mapped GID",
            "queue_pair_refused": rf"{_RDMA}[^\n]*(?:errno:?[ =]*22\b|Invalid argument)",
            "rdma_exhausted": rf"allocate protection domain|{_RDMA}[^\n]*(?:errno:?[ =]*(?:16|96)\b|Resource busy)",
            "memory_regions_exhausted": rf"Register memory region failed|{_RDMA}[^\n]*(?:errno:?[ =]*-?12\b"
            r"|Cannot allocate memory|ENOMEM)",
            "device_renamed": rf"{_RDMA}[^\n]*(?:(?:could not|couldn't) (?:find|open) device|device not found)",
            "peer_left_group": r"\[ring\] connection to a peer was lost"
            r"|\[(?:jaccl|ring)\][^\n]*(?:errno:?[ =]*(?:2|60)\b|\(error: (?:2|60)\)|peer closed)",
        }.items()
    }
)
_PROOFS = re.compile(r'"group\.(?:formed|over)"')  # see self_test
_NO_ROUTE = re.compile(r"errno:?[ =]*65\b|\(65\)|\(error: 65\)|EHOSTUNREACH|No route to host", re.IGNORECASE)

_NAME_TAKEN = re.compile(r"announces itself under this node's name")  # daemon: cluster/discovery
_ANNOUNCED = re.compile(r'"discovery\.announced"')  # under its name: what was said of it before is over


def failures_in(log: str) -> Mapping[str, str]:
    """Cause -> where the log shows it last, of the lines since the daemon started last. In the order of the causes."""
    lines = since_start(log)
    found = ((cause, _last(pattern, lines)) for cause, pattern in _PATTERNS.items())
    return {cause: line for cause, line in found if line}


def no_route_in(log: str) -> str:
    """Where the log last shows, since the daemon's start, that no route led to a node (errno 65 of macOS); else ""."""
    return _last(_NO_ROUTE, since_start(log))


def name_taken_in(log: str) -> str:
    """Where the log shows that another machine goes by this node's name, since the node last had it; else ""."""
    lines = since_start(log)
    had = next((at for at in range(len(lines) - 1, -1, -1) if _ANNOUNCED.search(lines[at])), -1)
    return _last(_NAME_TAKEN, lines[had + 1 :])


def telling_lines(log: str) -> list[str]:
    """The lines that doctor reads anything from: all that a recording keeps of a log."""
    patterns = (*_PATTERNS.values(), _NO_ROUTE, _NAME_TAKEN, _ANNOUNCED, _PROOFS)
    return [line for line in since_start(log) if any(pattern.search(line) for pattern in patterns)]


def since_start(log: str) -> list[str]:
    """The lines after the last start of the daemon; all where none is in them."""
    lines = log.splitlines()
    start = next((at for at in range(len(lines) - 1, -1, -1) if f'"{START}"' in lines[at]), -1)
    return [line[:LINE_CHARACTERS] for line in lines[start + 1 :]]


def _last(pattern: re.Pattern[str], lines: list[str]) -> str:
    found = ((line, pattern.search(line)) for line in reversed(lines))
    return next((line[max(0, hit.start() - AROUND) : hit.end() + AROUND] for line, hit in found if hit), "")
