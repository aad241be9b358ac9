"""Address: a host and a port where a node may be dialled, written "host:port"."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

MAX_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Address:
    """Where to dial or listen. Port 0 means any free one, when listening."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads "host:port" or "[ipv6]:port". Raises ValueError with one sentence."""
        host, colon, port = text.strip().rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > MAX_PORT:
            message = f"{text!r} is not an address; write it as HOST:PORT, for example 127.0.0.1:7411"
            raise ValueError(message)
        return cls(host=host, port=int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether it can be reached from this machine only. A name other than localhost counts as reachable."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.partition("%")[0]).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        """As gRPC takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
