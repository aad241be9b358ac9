"""Discovery: finding nodes of the same cluster on the network by Bonjour.

What it says is a hint and untrusted: it gives addresses to dial and nothing else. A node that was killed stays
announced for minutes, so it never says that a node is dead.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import ifaddr
import structlog
from zeroconf import Error, InterfaceChoice, IPVersion, NonUniqueNameException, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.announcement import Announcement, mark
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.greeting import MAX_PROTOCOL
from realign_daemon.cluster.loopback import LOOPBACK, keep_to_loopback
from realign_daemon.cluster.timing import DEFAULT, Timing

log = structlog.get_logger()

SERVICE = "_realign._tcp.local."
RESOLVE_MS = 3_000
RETRY_S = 60.0  # after what only somebody elsewhere, or the network, can mend
MOST_RESOLVING = 64  # at once: whoever floods the network with names does not fill this node's memory
NODE_ID = re.compile("[a-z2-7]{26}")
PORT = re.compile("[0-9]{1,5}")
HIGHEST_PORT = 65_535
NAME_TAKEN = (
    "another machine on this network announces itself under this node's name: it may run on a copy of this node's data "
    "directory, key and all"
)
NAME_REMEDY = (
    "stop realignd on the machine with the copy, move its data directory away and let it join as a new node; until "
    "then other nodes find this one by --peer HOST:PORT only"
)


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


class Discovery:
    """Announces this node and finds others for as long as `run` runs."""

    def __init__(
        self,
        announcement: Callable[[], Announcement],
        *,
        addresses: Callable[[], tuple[Address, ...]],
        timing: Timing = DEFAULT,
    ) -> None:
        """`announcement` and `addresses`, where this node can be dialled now, are asked again and again.

        The addresses must share one port.
        """
        self._announcement = announcement
        self._addresses = addresses
        self._timing = timing
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Joins the network and announces this node anew: it slept and may be elsewhere, or has other things to say."""
        self._woken.set()

    async def run(self, report: Callable[[Finding], None]) -> None:
        """Reports what is found until it is cancelled. Where there is no multicast it says so and tries again."""
        told, now_s = "", asyncio.get_running_loop().time
        while True:
            began_s = now_s()
            try:
                await self._run(report)
            except* (OSError, Error) as errors:
                reason = "; ".join(str(error) or type(error).__name__ for error in errors.exceptions)
                if reason != told or now_s() - began_s > RETRY_S:  # once for as long as it lasts
                    told, remedy = reason, "name the other nodes with --peer HOST:PORT"
                    log.warning("discovery.unavailable", reason=reason, remedy=remedy)
                await self._until_woken(RETRY_S)
                self._woken.clear()
            except* _Moved:
                pass

    async def _run(self, report: Callable[[Finding], None]) -> None:
        heard = asyncio.Queue[tuple[str, ServiceStateChange]]()

        def on_change(
            zeroconf: Zeroconf,  # noqa: ARG001 - called by name
            service_type: str,  # noqa: ARG001
            name: str,
            state_change: ServiceStateChange,
        ) -> None:
            heard.put_nowait((name, state_change))

        said, resolving = self._announcement(), set[asyncio.Task[None]]()
        async with _zeroconf(beyond_loopback=said.beyond_loopback) as zeroconf, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._announce(zeroconf, said), name="discovery.announce")
            browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[on_change])
            try:
                while True:
                    name, change = await heard.get()
                    node = node_of(name)
                    if node is None or node == said.node:
                        continue
                    if change is ServiceStateChange.Removed:
                        report(PeerGone(node=node))
                    elif len(resolving) < MOST_RESOLVING:
                        task = tasks.create_task(self._resolve(zeroconf, node, name, report), name="discovery.resolve")
                        resolving.add(task)
                        task.add_done_callback(resolving.discard)
            finally:
                await browser.async_cancel()

    async def _announce(self, zeroconf: AsyncZeroconf, said: Announcement) -> None:
        """Announces, and again whenever the machine's addresses change, which nothing else tells zeroconf.

        Raises:
            _Moved: this node is to be heard on other interfaces from now on, or by other nodes.
        """
        announced = await self._registered(zeroconf, said)
        if not announced:
            log.warning("discovery.name_taken", node=said.node, reason=NAME_TAKEN, remedy=NAME_REMEDY)
        while True:
            await self._until_woken(self._timing.interfaces_s if announced else RETRY_S)
            current, now_said, has_woken = self._addresses(), self._announcement(), self._woken.is_set()
            self._woken.clear()
            if (now_said.beyond_loopback, now_said.marks) != (said.beyond_loopback, said.marks):
                raise _Moved
            if not announced:
                said = now_said
                announced = await self._registered(zeroconf, said)
            elif (current, now_said) != (announced, said) or has_woken:
                announced, said = current, now_said
                if said.beyond_loopback:
                    await zeroconf.async_update_interfaces()
                await zeroconf.async_update_service(_service(said, announced))  # pyright: ignore[reportUnknownMemberType]
                log.info("discovery.announced", addresses=[str(address) for address in announced])

    async def _registered(self, zeroconf: AsyncZeroconf, said: Announcement) -> tuple[Address, ...]:
        """Announces this node at the addresses that it returns; at none where another machine goes by its name."""
        addresses = self._addresses()
        service, cache = _service(said, addresses), zeroconf.zeroconf.cache
        heard = cache.current_entry_with_name_and_alias(SERVICE, service.name)
        if heard is not None:  # before; whoever said it may be gone without a word, and is asked anew
            cache.async_remove_records([heard])
        try:
            await zeroconf.async_register_service(service)  # pyright: ignore[reportUnknownMemberType]
        except NonUniqueNameException:
            return ()
        log.info("discovery.announced", addresses=[str(address) for address in addresses])
        return addresses

    async def _until_woken(self, most_s: float) -> None:
        with suppress(TimeoutError):  # not wait_for, which up to Python 3.11 may swallow a cancellation
            async with asyncio.timeout(most_s):
                await self._woken.wait()

    async def _resolve(
        self, zeroconf: AsyncZeroconf, node: NodeId, name: str, report: Callable[[Finding], None]
    ) -> None:
        info = AsyncServiceInfo(SERVICE, name)
        if not await info.async_request(zeroconf.zeroconf, RESOLVE_MS) or not info.port:
            return
        if _marks(info) & set(self._announcement().marks):
            report(PeerFound(node=node, addresses=_addresses(info, info.port)))


class _Moved(Exception):
    """What was found so far was found for another cluster, or on other interfaces."""


async def find_join(authority_sha256: bytes, *, timeout_s: float) -> tuple[Address, ...]:
    """Where those who have an invitation of this authority ask; empty when nobody says so in time. A hint, no more."""
    heard = asyncio.Queue[str]()

    def on_change(
        zeroconf: Zeroconf,  # noqa: ARG001 - called by name
        service_type: str,  # noqa: ARG001
        name: str,
        state_change: ServiceStateChange,
    ) -> None:
        if state_change is not ServiceStateChange.Removed:
            heard.put_nowait(name)

    with suppress(TimeoutError, OSError, Error):
        async with asyncio.timeout(timeout_s), _zeroconf(beyond_loopback=True) as zeroconf:
            browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[on_change])
            try:
                while True:
                    name = await heard.get()
                    if node_of(name) is None:
                        continue
                    info = AsyncServiceInfo(SERVICE, name)
                    if not await info.async_request(zeroconf.zeroconf, RESOLVE_MS):
                        continue
                    port = _port(info.decoded_properties.get("join") or "")
                    if mark(authority_sha256) in _marks(info) and port:
                        places = _addresses(info, port)
                        return tuple(
                            sorted(places, key=lambda place: place.is_loopback)
                        )  # which is every machine's own
            finally:
                await browser.async_cancel()
    return ()


@asynccontextmanager
async def _zeroconf(*, beyond_loopback: bool) -> AsyncGenerator[AsyncZeroconf]:
    interfaces = InterfaceChoice.All if beyond_loopback else [LOOPBACK]
    zeroconf = AsyncZeroconf(interfaces=interfaces, ip_version=IPVersion.V4Only)
    try:
        if not beyond_loopback:
            await zeroconf.zeroconf.async_wait_for_start()
            for reader in zeroconf.zeroconf.engine.readers:
                keep_to_loopback(reader.sock)
        yield zeroconf
    finally:
        await zeroconf.async_unregister_all_services()
        await zeroconf.async_close()


def _service(said: Announcement, addresses: tuple[Address, ...]) -> AsyncServiceInfo:
    return AsyncServiceInfo(
        SERVICE,
        f"{said.node}.{SERVICE}",
        addresses=[socket.inet_aton(address.host) for address in addresses if _is_ipv4(address.host)],
        port=addresses[0].port,
        properties={
            "protocol": str(MAX_PROTOCOL),
            "node": said.node,
            "name": said.name,
            "tag": ",".join(said.marks),
            **({"join": str(said.join_port)} if said.join_port else {}),
        },
        server=f"{said.node}.local.",
    )


def node_of(name: str) -> NodeId | None:
    """The node that a service is named after; None for any other name: anybody on the network can announce anything."""
    node = name.removesuffix(f".{SERVICE}")
    return NodeId(node) if node != name and NODE_ID.fullmatch(node) else None


def _port(text: str) -> int:
    """The port in a property of a service; 0 where there is none."""
    return int(text) if PORT.fullmatch(text) and int(text) <= HIGHEST_PORT else 0


def _marks(info: AsyncServiceInfo) -> set[str]:
    return set((info.decoded_properties.get("tag") or "").split(",")) - {""}


def _addresses(info: AsyncServiceInfo, port: int) -> tuple[Address, ...]:
    return tuple(Address(host=host, port=port) for host in info.parsed_addresses(IPVersion.V4Only))


def _is_ipv4(host: str) -> bool:
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True
