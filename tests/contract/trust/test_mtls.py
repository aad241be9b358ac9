"""Our certificates as gRPC's TLS takes them, by IP address: who gets through, and what the others hear."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from realign_daemon.trust.authority import Authority
from realign_daemon.trust.bundle import Bundle
from realign_daemon.trust.certificate import DAY_S
from realign_daemon.trust.keys import PrivateKey, key_pem, mint_key, node_id
from realign_daemon.trust.member import Member
from realign_daemon.trust.members import Members
from realign_daemon.trust.principal import Principal
from realign_daemon.trust.roles import MemberRole
from realign_proto.handshake import JOIN, MEMBER, explain_handshake, server_name

NOW = time.time()  # TLS looks at the machine's own clock
HOME = Authority.found("home", now_unix_s=NOW)
ELSEWHERE = Authority.found("home", now_unix_s=NOW)  # of the same name on purpose
TIMEOUT_S = 10.0

Heard = bytes | str | None  # the certificate that the server saw, or the sentence for why there was none

REFUSED = "the node at that address does not accept this machine's certificate"
FOREIGN = "what answers at that address belongs to another cluster"
OTHER_NODE = "what answers at that address is not the node that was meant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A key and what it shows."""

    key: PrivateKey
    pem: bytes

    @property
    def name(self) -> str:
        return server_name(node_id(self.key.public_key()))


def party(role: MemberRole = "node", *, by: Authority = HOME, at: float = NOW) -> Party:
    key = mint_key()
    return Party(key=key, pem=by.issue(key.public_key(), role=role, name=role, now_unix_s=at))


def join_party() -> Party:
    key = mint_key()
    return Party(key=key, pem=HOME.issue_for_join(key.public_key(), now_unix_s=NOW))


def self_signed() -> Party:
    key = mint_key()
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.fromtimestamp(NOW - DAY_S, UTC))
        .not_valid_after(datetime.fromtimestamp(NOW + DAY_S, UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(MEMBER)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Party(key=key, pem=certificate.public_bytes(serialization.Encoding.PEM))


class Echo(grpc.GenericRpcHandler):
    """Answers with the certificate that the caller showed."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            return bytes(next(iter(context.auth_context().get("x509_pem_cert", ())), b""))

        return cast("Any", grpc).unary_unary_rpc_method_handler(answer)


@asynccontextmanager
async def serving(server: Party | None, *, roots: bytes = HOME.pem, with_clients: bool = True) -> AsyncGenerator[str]:
    """The address of a server; without TLS for None."""
    listening = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    listening.add_generic_rpc_handlers((Echo(),))
    if server is None:
        port = listening.add_insecure_port("127.0.0.1:0")
    else:
        credentials = grpc.ssl_server_credentials(
            [(key_pem(server.key), server.pem)], roots if with_clients else None, with_clients
        )
        port = listening.add_secure_port("127.0.0.1:0", credentials)
    await listening.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await listening.stop(None)


async def heard(address: str, caller: Party | None, *, name: str = MEMBER, roots: bytes = HOME.pem) -> Heard:
    shown = (key_pem(caller.key), caller.pem) if caller else (None, None)
    credentials = grpc.ssl_channel_credentials(roots, *shown)
    options = [("grpc.ssl_target_name_override", name), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        return await outcome(channel)


async def outcome(channel: grpc.aio.Channel) -> Heard:
    call = cast("Any", channel).unary_unary("/any/Method")
    try:
        return cast("bytes", await call(b"", timeout=TIMEOUT_S))
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return explain_handshake(error.details() or "")


@pytest.mark.parametrize("role", ["node", "submit", "read", "admin"])
async def test_every_member_gets_through_to_exactly_this_node_and_is_known_by_its_certificate(role: MemberRole) -> None:
    node, caller = party(), party(role)
    async with serving(node) as address:
        seen = await heard(address, caller, name=node.name)
        assert seen == await heard(address, caller, name=MEMBER) == caller.pem

    entry = Member.load(Member(certificate=certificate_of(caller), added_by="owner", added_at_unix_s=NOW).dump())
    members = Members(bundle=HOME.bundle, members=[entry])
    known = members.principal(cast("bytes", seen), now_unix_s=NOW)
    assert isinstance(known, Principal)
    assert (known.role, known.name) == (role, role)


def certificate_of(shown: Party) -> Any:
    return HOME.bundle.examine(shown.pem, now_unix_s=NOW)


@pytest.mark.parametrize(
    "caller",
    [
        lambda: None,
        lambda: party(by=ELSEWHERE),
        lambda: party(at=NOW - 400 * DAY_S),
        lambda: party(at=NOW + 3 * DAY_S),
        join_party,
        self_signed,
    ],
    ids=["no certificate", "foreign authority", "expired", "not yet valid", "for a server only", "self-signed"],
)
async def test_no_other_caller_gets_through(caller: Callable[[], Party | None]) -> None:
    async with serving(party()) as address:
        assert str(await heard(address, caller())).startswith(REFUSED)


async def test_a_caller_without_tls_does_not_get_through() -> None:
    async with serving(party()) as address, grpc.aio.insecure_channel(address) as channel:
        assert str(await outcome(channel)).startswith(REFUSED)


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        (party, OTHER_NODE),
        (join_party, OTHER_NODE),
        (lambda: party(by=ELSEWHERE), FOREIGN),
        (self_signed, FOREIGN),
        (lambda: party(at=NOW - 400 * DAY_S), "the certificate of the node at that address has expired"),
        (lambda: party(at=NOW + 3 * DAY_S), "the certificate of the node at that address is not valid yet"),
        (lambda: party("submit"), "what answers at that address shows a certificate that no node has"),
        (lambda: party("admin"), "what answers at that address shows a certificate that no node has"),
        (lambda: None, "the daemon at that address is in no cluster"),
    ],
    ids=[
        "another node",
        "the join port",
        "foreign authority",
        "self-signed",
        "expired",
        "not yet valid",
        "a submit client",
        "an admin client",
        "no TLS",
    ],
)
async def test_nobody_else_passes_for_the_node_that_is_meant(server: Callable[[], Party | None], sentence: str) -> None:
    meant = party()
    async with serving(server()) as address:
        assert str(await heard(address, party(), name=meant.name)).startswith(sentence)


@pytest.mark.parametrize("server", [join_party, lambda: party("submit"), lambda: party(by=ELSEWHERE), self_signed])
async def test_only_a_node_passes_for_any_node(server: Callable[[], Party]) -> None:
    async with serving(server()) as address:
        assert isinstance(await heard(address, party()), str)


async def test_who_joins_reaches_the_authoritys_holder_without_a_certificate_and_no_mere_node() -> None:
    async with serving(join_party(), with_clients=False) as address:
        assert await heard(address, None, name=JOIN) == b""
        assert str(await heard(address, None, name=JOIN, roots=ELSEWHERE.pem)).startswith(FOREIGN)
    async with serving(party(), with_clients=False) as address:
        assert str(await heard(address, None, name=JOIN)).startswith(OTHER_NODE)


async def test_while_the_authority_changes_members_of_both_get_through_both_ways() -> None:
    both = HOME.bundle.succeeded_by(ELSEWHERE.pem, HOME.endorse(ELSEWHERE.pem))
    assert isinstance(both, Bundle)
    old, new = party(), party(by=ELSEWHERE)
    for server in (old, new):
        async with serving(server, roots=both.text) as address:
            for caller in (old, new):
                assert await heard(address, caller, name=server.name, roots=both.text) == caller.pem


async def test_a_key_with_the_certificate_of_another_is_named_as_the_cause() -> None:
    mixed = Party(key=mint_key(), pem=party().pem)
    async with serving(party()) as address:
        assert str(await heard(address, mixed)).startswith("this machine's key and its certificate do not belong")


async def test_a_daemon_that_is_not_there_is_no_matter_of_certificates() -> None:
    async with serving(party()) as address:
        pass
    assert await heard(address, party()) is None
