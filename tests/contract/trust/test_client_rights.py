"""Clients of a cluster: what an invitation lets them do, what it does not, and how a revocation ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.contract.trust.guarded_node import (
    GuardedNode,
    found,
    guarded_node,
    member_channel,
    pair,
    plain_channel,
    refusal,
    until,
)

from realign_client.api import Client, connect
from realign_client.credentials import Credentials, forget_credentials, load_credentials
from realign_client.enrolment import enrol, parse_token
from realign_client.errors import ClientError, NoCluster, Refused
from realign_proto.v1 import cluster_pb2, journal_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterStub
from realign_proto.v1.journal_pb2_grpc import JournalStub

pytestmark = pytest.mark.deadline(60)


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncGenerator[GuardedNode]:
    async with guarded_node(tmp_path, "studio") as node:
        await found(node)
        yield node


async def joined(node: GuardedNode, role: str, *, name: str = "ann") -> Credentials:
    """This client as a member, its credentials kept."""
    async with node.owner() as owner:
        invitation = await owner.trust.invite(role, ttl_s=60)
    return await enrol(invitation.addresses, parse_token(invitation.token), name=name)


def to(node: GuardedNode) -> Any:
    return connect(str(node.address))


async def watch_health(channel: grpc.aio.Channel) -> Any:
    """A stream that stays open; its first answer has come."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    call = stub.Watch(health_pb2.HealthCheckRequest())
    assert (await call.read()).status == health_pb2.HealthCheckResponse.SERVING
    return call


async def test_a_client_joins_and_is_known_by_its_certificate_from_then_on(studio: GuardedNode) -> None:
    credentials = await joined(studio, "read")

    assert load_credentials() == credentials
    assert credentials.cluster == "home"
    assert credentials.addresses[0] == str(studio.address)
    async with to(studio) as client:
        state = await client.trust.state()
        assert (await client.status()).node.name == "studio"
    assert [(member.name, member.role) for member in state.members] == [("ann", "read"), ("studio", "node")]
    async with connect() as client:  # found at the address that the cluster told
        assert client.target == str(studio.address)


async def test_what_goes_beyond_its_role_is_refused_with_what_to_do_and_noted(studio: GuardedNode) -> None:
    credentials = await joined(studio, "submit")
    async with to(studio) as client:
        with pytest.raises(Refused) as refused:
            await client.trust.invite("admin", ttl_s=60)
        assert refused.value.exit_code == 4
        said = [str(refused.value)]
    async with member_channel(studio, credentials) as channel:
        said += [
            await refusal(anext(aiter(JournalStub(channel).Follow(journal_pb2.FollowRequest())))),
            await refusal(ClusterStub(channel).Hello(cluster_pb2.HelloRequest(), timeout=5)),
            await refusal(cast("Any", channel).unary_unary("/realign.v1.Trust/Ruin")(b"", timeout=5)),
        ]

    assert said == [
        "the role 'submit' may not call Invite; ask for an invitation with the role 'admin'",
        "Follow is for nodes of the cluster only; use realignctl's commands instead",
        "Hello is for nodes of the cluster only; use realignctl's commands instead",
        "nobody may call Ruin here; use realignctl's commands instead",
    ]
    who = f"ann ({credentials_key(studio)})"
    assert await studio.denials() == [f"{who}: {sentence}" for sentence in said]


def credentials_key(node: GuardedNode) -> str:
    return next(member.spki[:8] for member in node.trust.members.all() if member.certificate.name == "ann")


async def test_a_refusal_that_repeats_is_one_line_of_the_audit(studio: GuardedNode) -> None:
    await joined(studio, "read")
    async with to(studio) as client:
        for _ in range(5):
            with pytest.raises(Refused):
                await client.trust.audit()

    assert len(await studio.denials()) == 1


async def test_an_admin_reaches_the_authoritys_holder_through_any_node(studio: GuardedNode, tmp_path: Path) -> None:
    async with guarded_node(tmp_path, "laptop") as laptop:
        await pair(studio, laptop)
        await joined(studio, "admin")
        await until(lambda: laptop.trust.members.find("ann") != ())
        async with to(laptop) as client:
            reply = await client.trust.invite("read", ttl_s=60)
            audit = await client.trust.audit()

    assert reply.token.startswith("ra1.")
    assert audit.unbroken
    assert f"ann ({credentials_key(studio)}): Invite read" in await studio.done()


async def test_a_node_does_not_lend_its_rights_to_the_client_that_calls_it(studio: GuardedNode, tmp_path: Path) -> None:
    async with guarded_node(tmp_path, "laptop") as laptop:
        await pair(studio, laptop)
        credentials = await joined(studio, "submit")
        async with member_channel(studio, credentials) as channel:
            behalf = (("realign-on-behalf", f"{laptop.trust.spki}:owner"),)
            stub: Any = health_pb2_grpc.HealthStub(channel)
            said = await refusal(stub.Check(health_pb2.HealthCheckRequest(), timeout=5, metadata=behalf))

    assert said.endswith("may not speak for others; call in your own name")


async def test_a_revocation_ends_an_open_stream_at_once_and_says_why(studio: GuardedNode) -> None:
    credentials = await joined(studio, "read")
    async with member_channel(studio, credentials) as channel:
        watching = await watch_health(channel)
        async with studio.owner() as owner:
            await owner.trust.revoke("ann", reason="has left")
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                async with asyncio.timeout(1):
                    await watching.read()
        why = "the key of 'ann' was revoked by owner (has left); join the cluster with a new invitation and a new key"
        assert (ended.value.code(), ended.value.details()) == (grpc.StatusCode.PERMISSION_DENIED, why)

        with pytest.raises(Refused, match="was revoked by owner"):
            async with to(studio) as client:
                await client.status()
    assert await studio.denials() != []


async def test_other_clients_streams_go_on_when_one_is_revoked(studio: GuardedNode) -> None:
    async with (
        member_channel(studio, await joined(studio, "read", name="bob")) as bobs,
        member_channel(studio, await joined(studio, "read", name="ann")) as anns,
    ):
        kept, cut = await watch_health(bobs), await watch_health(anns)
        async with studio.owner() as owner:
            await owner.trust.revoke("ann")
            with pytest.raises(grpc.aio.AioRpcError):
                await cut.read()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await kept.read()


async def test_a_client_of_another_cluster_hears_that_it_is_another_one(studio: GuardedNode, tmp_path: Path) -> None:
    async with guarded_node(tmp_path, "elsewhere") as elsewhere:
        await found(elsewhere)
        await joined(elsewhere, "read")
        with pytest.raises(NoCluster, match="what answers at that address belongs to another cluster"):
            async with to(studio) as client:
                await client.status()


async def test_a_client_that_never_joined_hears_that_it_has_no_certificate(studio: GuardedNode) -> None:
    assert load_credentials() is None
    with pytest.raises(NoCluster, match="does not accept this machine's certificate: it has none"):
        async with to(studio) as client:
            await client.status()


async def test_what_only_the_owner_may_do_is_refused_over_a_port_without_certificates(tmp_path: Path) -> None:
    async with guarded_node(tmp_path, "alone") as alone, plain_channel(alone) as channel:
        with pytest.raises(ClientError, match="Found is for the user of the node's own machine"):
            await Client(channel, str(alone.address)).trust.found()


async def test_a_client_that_has_left_speaks_without_a_certificate_again(studio: GuardedNode, tmp_path: Path) -> None:
    await joined(studio, "read")
    forget_credentials()
    async with guarded_node(tmp_path, "alone") as alone, to(alone) as client:
        assert (await client.status()).node.name == "alone"
