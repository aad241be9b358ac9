"""Enrolment: this client's way into a cluster that somebody invited it to, and how it stays in."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import grpc
import grpc.aio

from realign_client.channels import CHANNEL_OPTIONS
from realign_client.credentials import (
    Credentials,
    certificate_request,
    keep_credentials,
    load_credentials,
    mint_key,
    pinned_authority,
)
from realign_client.errors import BadUsage, ClientError, NoCluster, error_of_call
from realign_client.trust_calls import TrustCalls
from realign_proto.handshake import JOIN, explain_handshake
from realign_proto.token import BadToken, Token
from realign_proto.v1 import trust_pb2 as pb
from realign_proto.v1.trust_pb2_grpc import JoinPortStub, JoinStub

CALL_TIMEOUT_S = 10.0


def parse_token(text: str) -> Token:
    """The token in what a person pasted. Raises BadUsage."""
    try:
        return Token.parse(text)
    except BadToken as error:
        raise BadUsage(str(error)) from error


async def enrol(places: Iterable[str], token: Token, *, name: str) -> Credentials:
    """Joins at the first place (HOST:PORT) that answers, and keeps what makes this client a member.

    Raises:
        NoCluster: nobody lets anybody in there, or it is another cluster; or the invitation is good for nothing.
    """
    failure = NoCluster(
        "no node of that cluster says on this network that it lets anybody in; give the address that `realignctl "
        "cluster invite` printed with --at HOST:PORT"
    )
    for place in places:
        try:
            return await _enrol_at(place, token, name=name)
        except NoCluster as error:
            failure = error
    raise failure


async def renew(calls: TrustCalls) -> None:
    """Renews this client's certificate when half of its life is over; what fails is tried again at the next command."""
    credentials = load_credentials()
    if credentials is None or not credentials.is_half_way(time.time()):
        return
    with suppress(ClientError):
        reply = await calls.renew(certificate_request(credentials.key_pem))
        keep_credentials(
            replace(
                credentials,
                certificate_pem=reply.certificate_pem,
                authorities_pem=b"".join(reply.authorities_pem),
            )
        )


async def _enrol_at(place: str, token: Token, *, name: str) -> Credentials:
    options = list(CHANNEL_OPTIONS.items())
    async with grpc.aio.insecure_channel(place, options=options) as channel, _explained(place):
        described = await JoinPortStub(channel).Describe(pb.DescribeRequest(), timeout=CALL_TIMEOUT_S)
    authority_pem = pinned_authority(described.authority_pem, token)
    within = f"{place.rpartition(':')[0]}:{described.tls_port}"
    key_pem = mint_key()
    named = [*options, ("grpc.ssl_target_name_override", JOIN)]
    roots = grpc.ssl_channel_credentials(authority_pem)
    request = pb.EnrolRequest(secret=token.secret_text, csr_pem=certificate_request(key_pem), name=name)
    async with grpc.aio.secure_channel(within, roots, options=named) as channel, _explained(within):
        reply = await JoinStub(channel).Enrol(request, timeout=CALL_TIMEOUT_S)
    credentials = Credentials(
        cluster=reply.cluster,
        addresses=tuple(_reachable(reply.addresses, by=place)),
        key_pem=key_pem,
        certificate_pem=reply.certificate_pem,
        authorities_pem=b"".join(reply.authorities_pem),
    )
    keep_credentials(credentials)
    return credentials


def _reachable(addresses: Iterable[str], *, by: str) -> Iterable[str]:
    """Those that mean a node to this machine, too: loopback is each machine's own."""
    is_here = _is_loopback(by)
    return (address for address in addresses if is_here or not _is_loopback(address))


def _is_loopback(address: str) -> bool:
    return address.startswith(("127.", "localhost:", "[::1]"))


@asynccontextmanager
async def _explained(place: str) -> AsyncGenerator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as failure:
        if failure.code() is grpc.StatusCode.UNAVAILABLE and explain_handshake(failure.details() or "") is None:
            raise NoCluster(
                f"nobody lets new members in at {place}; take the address that `realignctl cluster invite` printed, "
                "and mind that an invitation opens it for its time only"
            ) from failure
        raise error_of_call(failure, place) from failure
