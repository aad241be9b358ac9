"""Who is refused by a daemon in a cluster hears one sentence, and the audit has a line: five ways to be refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest

from realign_client.api import Client, connect
from realign_client.daemon_process import DaemonProcess
from realign_client.enrolment import enrol, parse_token
from realign_client.errors import ClientError, Refused
from realign_client.reach import accepts
from realign_daemon.cluster.addresses import Address
from realign_daemon.rpc.channels import Channel, open_channel
from realign_daemon.rpc.tls import secure_channel
from realign_daemon.trust.authority import Authority
from realign_daemon.trust.certificate import DAY_S
from realign_daemon.trust.keys import mint_key, parse_key
from realign_proto.handshake import MEMBER, explain_handshake
from realign_proto.v1 import status_pb2
from realign_proto.v1.status_pb2_grpc import StatusStub

pytestmark = pytest.mark.deadline(60)

LOOPBACK = ("--no-discovery", "--listen", "127.0.0.1:0")
QUIET = {"REALIGN_BENCHMARK__ON_START": "false", "REALIGN_NODE_NAME": "studio"}
NOT_ACCEPTED = "the node at that address does not accept this machine's certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """A real daemon that has founded a cluster."""

    folder: Path
    owner: Client

    @property
    def address(self) -> Address:
        return Address.parse((self.folder / "endpoint").read_text().strip())

    @property
    def roots(self) -> bytes:
        return (self.folder / "trust" / "authorities.pem").read_bytes()

    @property
    def authority(self) -> Authority:
        return Authority.load((self.folder / "trust" / "authority.key").read_bytes(), origin="the test")

    def channel(self, by: Authority, *, age_s: float = 0.0) -> Channel:
        """With a certificate that this authority gave out so long ago."""
        key = mint_key()
        pem = by.issue(key.public_key(), role="admin", name="x", now_unix_s=time.time() - age_s)
        return secure_channel(self.address, roots=self.roots, name=MEMBER, key=key, certificate_pem=pem)

    async def audited(self, outcome: str) -> tuple[str, str]:
        """Who was refused with this sentence, and what they called, once the audit has the line."""
        while True:
            for line in (await self.owner.trust.audit()).lines:
                if line.outcome.startswith(outcome):
                    return line.actor, line.method.rpartition("/")[2]
            await asyncio.sleep(0.1)


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncGenerator[Studio]:
    folder = tmp_path / "studio"
    with DaemonProcess(folder, *LOOPBACK, environment=QUIET) as daemon:
        before = await asyncio.to_thread(daemon.wait_until_ready)
        while not accepts(daemon.socket):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        async with connect(daemon.socket) as owner:
            await owner.trust.found("home")
            studio = Studio(folder=folder, owner=owner)
            while str(studio.address) == before:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
            yield studio


async def heard(channel: Channel) -> str:
    """What a call over the channel fails with, as the caller is told."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await StatusStub(channel).GetStatus(status_pb2.StatusRequest(), timeout=10)
    details = refused.value.details() or ""
    return explain_handshake(details) or details


async def test_without_a_certificate(studio: Studio) -> None:
    async with secure_channel(studio.address, roots=studio.roots, name=MEMBER) as channel:
        assert (await heard(channel)).startswith(NOT_ACCEPTED)
    assert await studio.audited("it showed no certificate") == ("stranger", "TLS")


async def test_without_tls(studio: Studio) -> None:
    async with open_channel(studio.address) as channel:
        assert (await heard(channel)).startswith(NOT_ACCEPTED)
    assert await studio.audited("it showed no certificate: it did not speak TLS") == ("stranger", "TLS")


async def test_with_a_certificate_of_another_cluster(studio: Studio) -> None:
    foreign = Authority.found("home", now_unix_s=time.time())  # of the same name on purpose
    async with studio.channel(foreign) as channel:
        assert (await heard(channel)).startswith(NOT_ACCEPTED)
    assert await studio.audited("its certificate is of another cluster") == ("stranger", "TLS")


async def test_with_a_certificate_that_has_expired(studio: Studio) -> None:
    async with studio.channel(studio.authority, age_s=400 * DAY_S) as channel:
        assert (await heard(channel)).startswith(NOT_ACCEPTED)
    assert await studio.audited("its certificate has expired") == ("stranger", "TLS")


async def test_with_an_invitation_that_has_expired(studio: Studio) -> None:
    invitation = await studio.owner.trust.invite("read", ttl_s=1)
    await studio.owner.trust.invite("read", ttl_s=60)  # keeps the ports open
    sentence = "this invitation has expired; ask for a new invitation"
    await asyncio.sleep(1.1)
    with pytest.raises(Refused, match=sentence):
        await enrol((invitation.addresses[0],), parse_token(invitation.token), name="late")
    assert await studio.audited(sentence) == ("stranger", "Enrol")


async def test_in_a_role_that_may_not_and_under_a_key_that_was_revoked(studio: Studio) -> None:
    invitation = await studio.owner.trust.invite("read", ttl_s=60)
    reader = await enrol((invitation.addresses[0],), parse_token(invitation.token), name="ann")
    key = parse_key(reader.key_pem, origin="the client")
    roots, pem = reader.authorities_pem, reader.certificate_pem
    async with secure_channel(studio.address, roots=roots, name=MEMBER, key=key, certificate_pem=pem) as channel:
        client = Client(channel, str(studio.address))
        sentence = "the role 'read' may not call ReadAudit; ask for an invitation with the role 'admin'"
        with pytest.raises(ClientError, match=sentence):
            await client.trust.audit()
        (ann, method) = await studio.audited(sentence)
        assert (ann[:4], method) == ("ann ", "ReadAudit")

        await client.status()
        await studio.owner.trust.revoke("ann", reason="lost")
        with pytest.raises(ClientError, match="revoked") as refused:
            await client.status()
    assert await studio.audited(str(refused.value)) == (ann, "GetStatus")
