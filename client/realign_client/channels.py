"""Channel: a connection to a daemon, with this client's certificate where it belongs to a cluster."""

from __future__ import annotations

import time
from types import MappingProxyType

import grpc.aio

from realign_client.errors import NoCluster

# A laptop that fell asleep closes nothing: pings find out within seconds that a watched node is gone.
CHANNEL_OPTIONS = MappingProxyType(
    {
        "grpc.keepalive_time_ms": 10_000,
        "grpc.keepalive_timeout_ms": 5_000,
        "grpc.http2.ping_timeout_ms": 5_000,
        "grpc.max_reconnect_backoff_ms": 2_000,
        "grpc.enable_http_proxy": 0,  # nodes are on this network; a proxy for the web has no business between them
        "grpc.max_receive_message_length": 64 * 1024 * 1024,  # a job carries its spec and its summary
    }
)


def open_channel(target: str) -> grpc.aio.Channel:
    """A channel that connects at its first call.

    A unix socket needs no certificate: whoever can open it is the daemon's user. Over TCP a client that has joined a
    cluster speaks with nodes of that cluster only.

    Raises:
        NoCluster: this client's certificate does not count at this moment, of which TLS would tell nothing.
    """
    options = list(CHANNEL_OPTIONS.items())
    if target.startswith("unix:"):
        return grpc.aio.insecure_channel(target, options=options)
    # Imported here, as `status` of a local daemon would start a third slower with the library behind it.
    from realign_client.credentials import load_credentials
    from realign_proto.handshake import MEMBER

    credentials = load_credentials()
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    refusal = credentials.refusal(time.time())
    if refusal is not None:
        raise NoCluster(refusal)
    named = [*options, ("grpc.ssl_target_name_override", MEMBER)]
    return grpc.aio.secure_channel(target, credentials.channel_credentials(), options=named)
