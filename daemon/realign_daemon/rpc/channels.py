"""Channel: a connection to another node, with the options that find out soon that it is gone."""

from __future__ import annotations

from collections.abc import Callable

import grpc.aio

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId

Channel = grpc.aio.Channel
# To an address, and the node that is to answer there, None for any. Raises NotAllowed when this node had better not.
OpenChannel = Callable[[Address, NodeId | None], Channel]

MAX_MESSAGE_BYTES = 4 * 1024 * 1024  # what is larger is streamed

# Keepalive alone never finds a frozen peer: a ping without an answer waits for http2.ping_timeout_ms, 60 s by default.
# With these a stopped process is found after 3.6 s and a healed link is used again 0.5 s later (measured between two
# network namespaces with grpcio 1.85.1; the default backoff grows to 120 s).
OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 2_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.ping_timeout_ms", 2_000),
    ("grpc.initial_reconnect_backoff_ms", 300),
    ("grpc.min_reconnect_backoff_ms", 300),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),  # a proxy from the environment has no business between two nodes
    # Without it channels to one address share a connection, and closing a failed dial would not close it.
    ("grpc.use_local_subchannel_pool", 1),
)


def open_channel(address: Address | str, expects: NodeId | None = None) -> Channel:  # noqa: ARG001 - see below
    """A channel that connects at its first call. The caller closes it.

    Without certificates nobody can tell who answers: `expects` is for those who have them, see rpc.tls.
    """
    return grpc.aio.insecure_channel(str(address), options=OPTIONS)
