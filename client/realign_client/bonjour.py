"""Bonjour: a daemon of this user's cluster that announces itself, on this machine or on the network around it."""

from __future__ import annotations

import hashlib
import os
import threading

from zeroconf import InterfaceChoice, IPVersion, ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from realign_client.reach import accepts

SERVICE_TYPE = "_realign._tcp.local."
TAG_VARIABLE = "REALIGN_CLUSTER_TAG"
BROWSE_TIMEOUT_S = 2.0
RESOLVE_TIMEOUT_MS = 1000


def browse(timeout_s: float = BROWSE_TIMEOUT_S) -> str | None:
    """HOST:PORT of the first daemon that shows up under this user's cluster tag; None when the time is over."""
    tag = os.environ.get(TAG_VARIABLE) or f"user-{os.getuid()}"
    # Daemons announce the first 8 bytes of the tag's SHA-256, hex, not the tag.
    wanted = hashlib.sha256(tag.encode()).digest()[:8].hex().encode()
    found: list[str] = []
    done = threading.Event()

    def on_change(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is not ServiceStateChange.Added or done.is_set():
            return
        info = zeroconf.get_service_info(service_type, name, RESOLVE_TIMEOUT_MS)
        if info is not None and info.port and info.properties.get(b"tag") == wanted and (address := _address(info)):
            found.append(address)
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


def _address(info: ServiceInfo) -> str | None:
    targets = (f"{host}:{info.port}" for host in info.parsed_addresses(IPVersion.V4Only))
    return next((target for target in targets if accepts(target)), None)
