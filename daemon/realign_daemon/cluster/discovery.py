"""Discovery: finding nodes of the same cluster tag on the network by Bonjour.

What it says is a hint and untrusted: it gives addresses to dial and nothing else. A node that was killed stays
announced for minutes, so it never says that a node is dead.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import ifaddr
import structlog
from zeroconf import InterfaceChoice, IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.greeting import MAX_PROTOCOL
from realign_daemon.cluster.timing import DEFAULT, Timing

log = structlog.get_logger()

SERVICE = "_realign._tcp.local."
RESOLVE_MS = 3_000
LOOPBACK = "127.0.0.1"
LOOPBACK_INTERFACE = {"linux": "lo", "darwin": "lo0"}
IP_BOUND_IF = 25  # netinet/in.h of macOS; Python has no name for it


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFound:
    """Somebody announces this node at these addresses."""

    node: NodeId
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerGone:
    """A node took its announcement back."""

    node: NodeId


Finding = PeerFound | PeerGone


def tag_hash(tag: str) -> str:
    """What is announced of a cluster's tag: the first 8 bytes of its SHA-256, hex."""
    return hashlib.sha256(tag.encode()).digest()[:8].hex()


def own_addresses(listening: Address) -> tuple[Address, ...]:
    """Where others reach a server that listens there: the address, or for a wildcard every IPv4 address of the machine.

    Loopback comes last: a node on the same machine can use it, and another machine would reach itself.
    """
    if listening.host not in ("0.0.0.0", "::"):  # noqa: S104 - recognised, not bound
        host = LOOPBACK if listening.host == "localhost" else listening.host
        return (Address(host=host, port=listening.port),)
    hosts = [str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
    addresses = [Address(host=host, port=listening.port) for host in dict.fromkeys(hosts)]
    return tuple(sorted(addresses, key=lambda address: address.is_loopback))


def keep_to_loopback(listening: socket.socket) -> None:
    """Lets the socket hear the loopback interface only.

    zeroconf joins the group on the interfaces that it is given, but binds its port on all of them, and would answer
    a question sent straight to this machine's address in the network.
    """
    try:
        if sys.platform == "linux":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, LOOPBACK_INTERFACE["linux"].encode())
        elif sys.platform == "darwin":
            index = socket.if_nametoindex(LOOPBACK_INTERFACE["darwin"])
            listening.setsockopt(socket.IPPROTO_IP, IP_BOUND_IF, index)
    except OSError as error:
        log.warning("discovery.heard_beyond_loopback", reason=str(error), remedy="start with --no-discovery")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What this node says of itself. Without insecure_lan it is said, and listened for, on loopback only."""

    node: NodeId
    name: str
    tag: str
    insecure_lan: bool = False


class Discovery:
    """Announces this node and finds others for as long as `run` runs."""

    def __init__(
        self,
        announcement: Announcement,
        *,
        addresses: Callable[[], tuple[Address, ...]],
        timing: Timing = DEFAULT,
    ) -> None:
        """`addresses` gives where this node can be dialled now; they must share one port."""
        self._announcement = announcement
        self._addresses = addresses
        self._timing = timing

    async def run(self, report: Callable[[Finding], None]) -> None:
        """Reports what is found until it is cancelled. Where the machine has no multicast it says so and waits."""
        try:
            await self._run(report)
        except* OSError as errors:
            reason = "; ".join(str(error) for error in errors.exceptions)
            log.warning("discovery.unavailable", reason=reason, remedy="name the other nodes with --peer HOST:PORT")
        await asyncio.Event().wait()

    async def _run(self, report: Callable[[Finding], None]) -> None:
        heard = asyncio.Queue[tuple[str, ServiceStateChange]]()

        def on_change(
            zeroconf: Zeroconf,  # noqa: ARG001 - called by name
            service_type: str,  # noqa: ARG001
            name: str,
            state_change: ServiceStateChange,
        ) -> None:
            heard.put_nowait((name, state_change))

        async with self._zeroconf() as zeroconf, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._announce(zeroconf), name="discovery.announce")
            browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[on_change])
            try:
                while True:
                    name, change = await heard.get()
                    node = NodeId(name.removesuffix(f".{SERVICE}"))
                    if node == self._announcement.node:
                        continue
                    if change is ServiceStateChange.Removed:
                        report(PeerGone(node=node))
                    else:
                        tasks.create_task(self._resolve(zeroconf, node, name, report), name="discovery.resolve")
            finally:
                await browser.async_cancel()

    @asynccontextmanager
    async def _zeroconf(self) -> AsyncGenerator[AsyncZeroconf]:
        interfaces = InterfaceChoice.All if self._announcement.insecure_lan else [LOOPBACK]
        zeroconf = AsyncZeroconf(interfaces=interfaces, ip_version=IPVersion.V4Only)
        try:
            if not self._announcement.insecure_lan:
                await zeroconf.zeroconf.async_wait_for_start()
                for reader in zeroconf.zeroconf.engine.readers:
                    keep_to_loopback(reader.sock)
            yield zeroconf
        finally:
            await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()

    async def _announce(self, zeroconf: AsyncZeroconf) -> None:
        """Announces, and again whenever the machine's addresses change, which nothing else tells zeroconf."""
        announced = self._addresses()
        await zeroconf.async_register_service(self._service(announced))  # pyright: ignore[reportUnknownMemberType]
        log.info("discovery.announced", addresses=[str(address) for address in announced])
        while True:
            await asyncio.sleep(self._timing.interfaces_s)
            current = self._addresses()
            if current != announced:
                announced = current
                if self._announcement.insecure_lan:
                    await zeroconf.async_update_interfaces()
                await zeroconf.async_update_service(self._service(announced))  # pyright: ignore[reportUnknownMemberType]
                log.info("discovery.announced", addresses=[str(address) for address in announced])

    def _service(self, addresses: tuple[Address, ...]) -> AsyncServiceInfo:
        announcement = self._announcement
        return AsyncServiceInfo(
            SERVICE,
            f"{announcement.node}.{SERVICE}",
            addresses=[socket.inet_aton(address.host) for address in addresses if _is_ipv4(address.host)],
            port=addresses[0].port,
            properties={
                "protocol": str(MAX_PROTOCOL),
                "node": announcement.node,
                "name": announcement.name,
                "tag": tag_hash(announcement.tag),
            },
            server=f"{announcement.node}.local.",
        )

    async def _resolve(
        self, zeroconf: AsyncZeroconf, node: NodeId, name: str, report: Callable[[Finding], None]
    ) -> None:
        info = AsyncServiceInfo(SERVICE, name)
        if not await info.async_request(zeroconf.zeroconf, RESOLVE_MS):
            return
        if info.decoded_properties.get("tag") != tag_hash(self._announcement.tag) or not info.port:
            return
        hosts = info.parsed_addresses(IPVersion.V4Only)
        report(PeerFound(node=node, addresses=tuple(Address(host=host, port=info.port) for host in hosts)))


def _is_ipv4(host: str) -> bool:
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True
