"""Bonjour: daemons that announce themselves, on this machine or on the network around it. Only hints."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from zeroconf import InterfaceChoice, IPVersion, ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from realign_client.reach import accepts

SERVICE_TYPE = "_realign._tcp.local."
TAG_VARIABLE = "REALIGN_CLUSTER_TAG"
BROWSE_TIMEOUT_S = 2.0
JOIN_TIMEOUT_S = 10.0  # a node that has just founded its cluster needs some three seconds to be heard
RESOLVE_TIMEOUT_MS = 1000
MARK_BYTES = 8  # of the SHA-256 of a tag or an authority, hex: what daemons announce instead

T = TypeVar("T")


def own_marks() -> frozenset[str]:
    """What daemons of this user announce who are in no cluster."""
    tag = os.environ.get(TAG_VARIABLE) or f"user-{os.getuid()}"
    return frozenset({mark(hashlib.sha256(tag.encode()).digest())})


def mark(digest: bytes) -> str:
    """What is announced of a digest."""
    return digest[:MARK_BYTES].hex()


def browse(marks: frozenset[str], timeout_s: float = BROWSE_TIMEOUT_S) -> str | None:
    """HOST:PORT of the first daemon that shows up with one of these marks; None when the time is over."""

    def read(info: ServiceInfo) -> str | None:
        targets = (f"{host}:{info.port}" for host in info.parsed_addresses(IPVersion.V4Only))
        return next((target for target in targets if accepts(target)), None) if _marks(info) & marks else None

    return _first(read, timeout_s)


def find_join(authority_sha256: bytes, timeout_s: float = JOIN_TIMEOUT_S) -> tuple[str, ...]:
    """HOST:PORT where those ask who have an invitation of this authority; empty when nobody says so in time."""

    def read(info: ServiceInfo) -> tuple[str, ...] | None:
        port = (info.properties.get(b"join") or b"").decode(errors="replace")
        if mark(authority_sha256) not in _marks(info) or not port.isdecimal():
            return None
        hosts = sorted(info.parsed_addresses(IPVersion.V4Only), key=lambda host: host.startswith("127."))
        return tuple(f"{host}:{port}" for host in hosts)  # loopback last: it is every machine's own

    return _first(read, timeout_s) or ()


def _marks(info: ServiceInfo) -> set[str]:
    return set((info.properties.get(b"tag") or b"").decode(errors="replace").split(","))


def _first(read: Callable[[ServiceInfo], T | None], timeout_s: float) -> T | None:
    """What is read out of the first announcement that has it.

    In a thread of its own: within a running event loop zeroconf would wait for that loop, which waits for this.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_browsed, read, timeout_s).result()


def _browsed(read: Callable[[ServiceInfo], T | None], timeout_s: float) -> T | None:
    found: list[T] = []
    done = threading.Event()

    def on_change(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Removed or done.is_set() or not name.endswith(f".{service_type}"):
            return  # a name of another type, which anybody may send, is an error to zeroconf
        info = zeroconf.get_service_info(service_type, name, RESOLVE_TIMEOUT_MS)
        if info is not None and info.port and (value := read(info)):
            found.append(value)
            done.set()

    try:
        zeroconf = Zeroconf(interfaces=InterfaceChoice.All, ip_version=IPVersion.V4Only)
    except OSError:
        return None  # a machine without multicast has nothing to browse
    try:
        ServiceBrowser(zeroconf, SERVICE_TYPE, handlers=[on_change])
        done.wait(timeout_s)
    finally:
        zeroconf.close()
    return found[0] if found else None
