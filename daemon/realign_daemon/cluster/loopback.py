"""Loopback: a socket that hears nothing but its own machine."""

from __future__ import annotations

import socket
import sys

import structlog

log = structlog.get_logger()

LOOPBACK = "127.0.0.1"
INTERFACE = {"linux": "lo", "darwin": "lo0"}
IP_BOUND_IF = 25  # netinet/in.h of macOS; Python has no name for it


def keep_to_loopback(listening: socket.socket) -> None:
    """Lets the socket hear the loopback interface only.

    zeroconf joins the group on the interfaces that it is given, but binds its port on all of them, and would answer
    a question sent straight to this machine's address in the network.
    """
    try:
        if sys.platform == "linux":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, INTERFACE["linux"].encode())
        elif sys.platform == "darwin":
            index = socket.if_nametoindex(INTERFACE["darwin"])
            listening.setsockopt(socket.IPPROTO_IP, IP_BOUND_IF, index)
    except OSError as error:
        log.warning("discovery.heard_beyond_loopback", reason=str(error), remedy="start with --no-discovery")
