"""Network: hosts within one process, and the delays, losses, cuts and deaths between them, all drawn from one seed.

It carries what TCP carries: bytes in order. A lost packet comes late and holds up what follows; a cut lets a connection
hang in silence until the keepalive of an end gives it up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from realign_daemon.cluster.addresses import Address
from realign_daemon.testing.memory_socket import Conditions, Socket, Way
from realign_daemon.testing.virtual_loop import VirtualLoop
from realign_daemon.testing.virtual_process import VirtualProcess

LOOPBACK = Conditions(latency_s=0.000_02, jitter_s=0.000_01)
DIAL_S = 0.3  # grpc.min_reconnect_backoff_ms in rpc.channels, which also bounds one attempt
DIALLER_KEEPALIVE_S = (2.0, 4.0)  # rpc.channels: a ping every 2 s, given up after 2 s more
LISTENER_KEEPALIVE_S = (10.0, 15.0)  # rpc.server: a ping every 10 s, given up after 5 s more
FIRST_FREE_PORT = 49_152

Accept = Callable[[Socket], object]
Dialled = Callable[[Socket | str], None]  # a connection, or why there is none


@dataclass(slots=True, kw_only=True, eq=False)
class Host:
    """A machine with one address, on which at most one process runs."""

    network: Network
    name: str
    ip: str
    process: VirtualProcess | None = None
    is_powered: bool = True
    listeners: dict[int, Accept] = field(default_factory=dict[int, Accept])

    def boot(self) -> VirtualProcess:
        """A new process, in place of one that died."""
        assert self.process is None, f"{self.name} runs already"
        self.process = self.network.loop.process(self.name)
        self.is_powered = True
        return self.process

    @property
    def running(self) -> VirtualProcess:
        """The process that runs here, frozen or not."""
        assert self.process is not None, f"{self.name} does not run"
        return self.process

    def listen(self, port: int, accept: Accept) -> Address:
        """Answers dials to this port from now on; 0 takes any free one."""
        port = port or max((FIRST_FREE_PORT - 1, *self.listeners)) + 1
        assert port not in self.listeners, f"port {port} of {self.name} is taken"
        self.listeners[port] = accept
        return Address(host=self.ip, port=port)

    def crash(self) -> None:
        """Kills the process; the machine's kernel lives on and closes its connections."""
        self._die(Socket.close)

    def lose_power(self) -> None:
        """Kills the process, and nobody is told."""
        self.is_powered = False
        self._die(Socket.vanish)

    def freeze(self) -> None:
        """Stops the process as SIGSTOP does: what arrives waits for it."""
        self.running.stop()
        self.network.review()

    def sleep(self) -> None:
        """Puts the machine to sleep: its timers stand still, its continuous clock goes on."""
        self.running.sleep()
        self.network.review()

    def resume(self) -> None:
        """Ends either."""
        self.running.resume()
        self.network.review()

    def _die(self, close: Callable[[Socket], None]) -> None:
        process = self.running
        process.kill()
        self.process = None
        self.listeners.clear()
        for socket in self.network.sockets:
            if socket.process is process:
                close(socket)
        self.network.review()


class Network:
    """Hosts and what lies between them."""

    def __init__(self, loop: VirtualLoop, conditions: Conditions | None = None) -> None:
        """The conditions hold between any two hosts for which no others are set."""
        self.loop = loop
        self.hosts: dict[str, Host] = {}
        self.sockets: list[Socket] = []
        self._usual = conditions or Conditions()
        self._conditions: dict[tuple[str, str], Conditions] = {}

    def host(self, name: str) -> Host:
        """A new machine on which nothing runs yet."""
        host = Host(network=self, name=name, ip=f"10.77.0.{len(self.hosts) + 1}")
        self.hosts[name] = host
        return host

    # What lies between.

    def conditions(self, sender: Host, receiver: Host) -> Conditions:
        """What a packet from one to the other meets now."""
        return LOOPBACK if sender is receiver else self._conditions.get((sender.name, receiver.name), self._usual)

    def change(self, sender: Host, receiver: Host, conditions: Conditions) -> None:
        """Sets them for one way."""
        self._conditions[sender.name, receiver.name] = conditions
        self.review()

    def cut(self, sender: Host, receiver: Host) -> None:
        """Nothing gets from the one to the other any more; the way back stays as it is."""
        self.change(sender, receiver, replace(self.conditions(sender, receiver), is_cut=True))

    def isolate(self, *inside: Host) -> None:
        """Cuts these off from all others, both ways; among themselves nothing changes."""
        for outer in self.hosts.values():
            for inner in inside if outer not in inside else ():
                self.cut(outer, inner)
                self.cut(inner, outer)

    def heal(self) -> None:
        """Ends all cuts."""
        for path, conditions in self._conditions.items():
            self._conditions[path] = replace(conditions, is_cut=False)
        self.review()

    # Connections.

    def dial(self, host: Host, address: Address, dialled: Dialled) -> None:
        """Connects the host's process, and tells it the connection, or why there is none, within DIAL_S."""
        process = host.running
        peer = next((other for other in self.hosts.values() if other.ip == address.host), None)
        wait_s = self._dial_s(host, peer)

        def settle() -> None:
            if peer is None or wait_s >= DIAL_S or not self._answers(host, peer):
                dialled("Failed to connect to remote host: Timeout occurred")
            elif (accept := peer.listeners.get(address.port)) is None:
                dialled("Failed to connect to remote host: Connection refused")
            else:
                ours, theirs = self._connect(host, peer, address)
                accept(theirs)
                dialled(ours)

        self.loop.call_later(wait_s, settle, context=process.context)

    def review(self) -> None:
        """Lets every connection take note of what has changed."""
        for socket in self.sockets:
            socket.review()

    def _dial_s(self, host: Host, peer: Host | None) -> float:
        """Three packets until the first byte can follow; one that is lost comes again after 1 s, which is too late."""
        if peer is None or not self._answers(host, peer):
            return DIAL_S
        chance = self.loop.chance
        trips = [self.conditions(host, peer), self.conditions(peer, host), self.conditions(host, peer)]
        if any(chance.random() < trip.loss_fraction for trip in trips):
            return DIAL_S
        return min(DIAL_S, sum(trip.latency_s + trip.jitter_s * chance.expovariate(1.0) for trip in trips))

    def _answers(self, host: Host, peer: Host) -> bool:
        """Whether a packet would be answered now: by the process, or by the kernel in place of one that died."""
        is_up = peer.is_powered and (peer.process is None or peer.process.is_running)
        return is_up and not self.conditions(host, peer).is_cut and not self.conditions(peer, host).is_cut

    def _connect(self, host: Host, peer: Host, address: Address) -> tuple[Socket, Socket]:
        there, back = self._way(host, peer), self._way(peer, host)
        own_address = Address(host=host.ip, port=FIRST_FREE_PORT + len(self.sockets))
        ours = Socket(self.loop, host.running, peer=address, out=there, into=back, keepalive_s=DIALLER_KEEPALIVE_S)
        theirs = Socket(
            self.loop, peer.running, peer=own_address, out=back, into=there, keepalive_s=LISTENER_KEEPALIVE_S
        )
        ours.other, theirs.other = theirs, ours
        self.sockets = [*(socket for socket in self.sockets if socket.is_open or socket.is_busy), ours, theirs]
        return ours, theirs

    def _way(self, sender: Host, receiver: Host) -> Way:
        conditions = partial(self.conditions, sender, receiver)
        return Way(self.loop, f"{sender.name}>{receiver.name}", conditions, receiver.running.context)
