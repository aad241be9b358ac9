"""Enrolment: this daemon's way into a cluster that somebody was invited to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import grpc
import grpc.aio

from realign_daemon.cluster.addresses import Address
from realign_daemon.errors import BadInput, Damaged, NotAllowed, Unreachable, WrongState
from realign_daemon.rpc.channels import open_channel
from realign_daemon.rpc.faults import error_of_call
from realign_daemon.rpc.tls import secure_channel
from realign_daemon.trust.bundle import Bundle
from realign_daemon.trust.certificate import parse_certificate
from realign_daemon.trust.keys import PrivateKey, certificate_request, mint_key, spki_hash
from realign_daemon.trust.trust import Enrolled
from realign_proto.handshake import JOIN, explain_handshake
from realign_proto.token import Token
from realign_proto.v1 import trust_pb2 as pb
from realign_proto.v1.trust_pb2_grpc import JoinPortStub, JoinStub

CALL_TIMEOUT_S = 10.0


async def enrol(
    places: Sequence[Address], token: Token, key: PrivateKey, *, name: str, is_witness: bool
) -> tuple[Enrolled, PrivateKey]:
    """Lets this machine into the cluster of the token as a node, at the first place that answers; with which key.

    The secret is sent only to who proves to be that cluster. A key that the cluster will not have is replaced by a new
    one, which makes this another node.

    Raises:
        NotAllowed: what answers is another cluster, or the invitation is good for nothing.
        BadInput: the invitation is for a client.
        Unreachable: nothing answers there.
    """
    for place in places:
        try:
            try:
                return await _enrol_at(place, token, key, name=name, is_witness=is_witness), key
            except WrongState:  # put out for ever, and the invitation is still good
                new = mint_key()
                return await _enrol_at(place, token, new, name=name, is_witness=is_witness), new
        except Unreachable:
            if place == places[-1]:
                raise
    raise Unreachable(
        "no node of that cluster says on this network that it lets anybody in; give the address that `realignctl "
        "cluster invite` printed with --at HOST:PORT"
    )


async def _enrol_at(at: Address, token: Token, key: PrivateKey, *, name: str, is_witness: bool) -> Enrolled:
    """Raises WrongState, too: the cluster will not have this key; another one may use the same invitation."""
    async with open_channel(at) as channel, _explained(at):
        described = await JoinPortStub(channel).Describe(pb.DescribeRequest(), timeout=CALL_TIMEOUT_S)
    bundle = Bundle.pinned(described.authority_pem, digest=token.authority_sha256)
    within = Address(host=at.host, port=described.tls_port)
    request = pb.EnrolRequest(secret=token.secret_text, csr_pem=certificate_request(key), name=name, witness=is_witness)
    async with secure_channel(within, roots=bundle.text, name=JOIN) as channel, _explained(within):
        reply = await JoinStub(channel).Enrol(request, timeout=CALL_TIMEOUT_S)
    return _enrolled(reply, bundle, key)


def _enrolled(reply: pb.EnrolReply, pinned: Bundle, key: PrivateKey) -> Enrolled:
    bundle = Bundle.parse(b"".join(reply.authorities_pem))
    certificate = parse_certificate(reply.certificate_pem)
    if pinned.pems[0] not in bundle.pems or not bundle.issued(certificate.pem):
        raise Damaged("what the cluster sent cannot be used; join it with a new invitation")
    if certificate.spki != spki_hash(key.public_key()):
        raise Damaged("the cluster sent the certificate of another key; join it with a new invitation")
    if certificate.role != "node":
        raise BadInput(
            f"the invitation was for a client with the role {certificate.role!r}, and is used up now; ask for a new "
            "one, and join with --as-client"
        )
    return Enrolled(
        certificate=certificate,
        bundle=bundle,
        members=tuple(reply.members),
        revocations=tuple(reply.revocations),
        addresses=tuple(_addresses(reply)),
    )


def _addresses(reply: pb.EnrolReply) -> list[Address]:
    try:
        return [Address.parse(text) for text in reply.addresses]
    except ValueError as error:
        raise Damaged(f"the cluster sent an address that is none ({error}); upgrade both sides") from error


@asynccontextmanager
async def _explained(at: Address) -> AsyncGenerator[None]:
    """A failed call as the error that it stands for."""
    try:
        yield
    except grpc.aio.AioRpcError as failure:
        if failure.code() is not grpc.StatusCode.UNAVAILABLE:
            raise error_of_call(failure) from failure
        reason = explain_handshake(failure.details() or "")
        if reason is not None:
            raise NotAllowed(reason) from failure
        raise Unreachable(
            f"nobody lets new members in at {at}; take the address that `realignctl cluster invite` printed, and "
            "mind that an invitation opens it for its time only"
        ) from failure
