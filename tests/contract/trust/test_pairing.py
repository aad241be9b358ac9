"""Machines that join a cluster and leave it, over real connections on loopback: who gets in, and what others hear."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import grpc.aio
import pytest
from tests.contract.trust.guarded_node import (
    GuardedNode,
    found,
    guarded_node,
    pair,
    plain_channel,
    refusal,
    sees,
    until,
)

from realign_client.errors import ClientError
from realign_client.reach import accepts
from realign_daemon.cluster.addresses import Address
from realign_daemon.rpc.channels import open_channel
from realign_daemon.rpc.join_ports import CONCURRENT_CALLS
from realign_daemon.rpc.tls import secure_channel
from realign_daemon.trust.authority import Authority
from realign_daemon.trust.keys import mint_key
from realign_proto.handshake import JOIN, MEMBER
from realign_proto.token import Token
from realign_proto.v1 import cluster_pb2, status_pb2, trust_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterStub
from realign_proto.v1.status_pb2_grpc import StatusStub
from realign_proto.v1.trust_pb2_grpc import JoinPortStub, JoinStub

pytestmark = pytest.mark.deadline(60)

NO_CERTIFICATE = "the node at that address does not accept this machine's certificate"


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncGenerator[GuardedNode]:
    """A node that has founded a cluster."""
    async with guarded_node(tmp_path, "studio") as node:
        await found(node)
        yield node


@pytest.fixture
async def laptop(tmp_path: Path) -> AsyncGenerator[GuardedNode]:
    """A node that is in none."""
    async with guarded_node(tmp_path, "laptop") as node:
        yield node


async def status(channel: grpc.aio.Channel) -> status_pb2.NodeStatus:
    return await StatusStub(channel).GetStatus(status_pb2.StatusRequest(), timeout=5)


async def failed_join(node: GuardedNode, token: str, address: str) -> str:
    async with node.owner() as client:
        with pytest.raises(ClientError) as failed:
            await client.trust.enrol(token, address)
    return str(failed.value)


async def test_two_nodes_pair_and_each_sees_the_other_over_mutual_tls(studio: GuardedNode, laptop: GuardedNode) -> None:
    await pair(studio, laptop)

    channel = studio.view.channel(laptop.trust.node_id)
    assert channel is not None
    assert (await status(channel)).node.id == laptop.trust.node_id
    assert laptop.trust.cluster == "home"
    async with studio.owner() as client:
        state = await client.trust.state()
    assert [(member.name, member.role, member.holds_authority) for member in state.members] == [
        ("laptop", "node", False),
        ("studio", "node", True),
    ]
    label = f"laptop ({laptop.trust.spki[:8]})"
    assert await studio.done() == ["owner: Found home", "owner: Invite node", f"{label}: Enrol invitation of owner"]


async def test_a_daemon_alone_needs_no_ceremony_and_listens_on_loopback_only(laptop: GuardedNode) -> None:
    async with plain_channel(laptop) as channel:
        assert laptop.address.is_loopback
        assert (await status(channel)).node.name == "laptop"


async def test_a_paired_node_is_met_again_after_a_restart_on_the_same_port(studio: GuardedNode, tmp_path: Path) -> None:
    async with guarded_node(tmp_path, "mini") as mini:
        await pair(studio, mini)
        await until((mini.data_dir / "cluster.json").exists)
        port = mini.address.port
    async with guarded_node(tmp_path, "mini") as again:
        assert again.address.port == port
        await until(lambda: sees(studio, again) and sees(again, studio))


async def test_three_nodes_know_each_other_whoever_let_whom_in(
    studio: GuardedNode, laptop: GuardedNode, tmp_path: Path
) -> None:
    async with guarded_node(tmp_path, "mini") as mini:
        await pair(studio, laptop)
        async with laptop.owner() as client:  # which has the authority's holder do it
            invitation = await client.trust.invite("node", ttl_s=60)
        async with mini.owner() as client:
            await client.trust.enrol(invitation.token, invitation.addresses[0])

        await until(lambda: sees(studio, laptop, mini) and sees(laptop, studio, mini) and sees(mini, studio, laptop))

    assert f"owner of laptop ({laptop.trust.spki[:8]}): Invite node" in await studio.done()


async def test_who_has_no_certificate_or_a_foreign_one_reaches_nothing(studio: GuardedNode) -> None:
    async with plain_channel(studio) as channel:
        assert (await refusal(status(channel))).startswith(NO_CERTIFICATE)
    now, key = time.time(), mint_key()
    foreign = Authority.found("home", now_unix_s=now)  # of the same name on purpose
    pem = foreign.issue(key.public_key(), role="node", name="studio", now_unix_s=now)
    roots = studio.trust.members.bundle.text
    async with secure_channel(studio.address, roots=roots, name=MEMBER, key=key, certificate_pem=pem) as channel:
        assert (await refusal(status(channel))).startswith(NO_CERTIFICATE)


async def test_a_node_in_no_cluster_that_dials_one_says_why_it_is_no_peer(studio: GuardedNode, tmp_path: Path) -> None:
    async with guarded_node(tmp_path, "stranger", peers=(studio.address,)) as stranger:
        await until(lambda: bool(stranger.view.refusals))

        assert stranger.view.refusals[studio.address].startswith(NO_CERTIFICATE)
        assert sees(studio)


async def test_a_key_that_the_authority_signed_but_nobody_let_in_is_no_member(studio: GuardedNode) -> None:
    authority, key = studio.trust.holdings.authority, mint_key()
    assert authority is not None
    pem = authority.issue(key.public_key(), role="node", name="mallory", now_unix_s=time.time())
    roots = studio.trust.members.bundle.text
    async with secure_channel(studio.address, roots=roots, name=MEMBER, key=key, certificate_pem=pem) as channel:
        said = await refusal(status(channel))

    assert said.startswith("'mallory' is not in this node's list of members")
    assert len(await studio.denials()) == 1


async def test_an_invitation_works_once_and_in_its_time_only(
    studio: GuardedNode, laptop: GuardedNode, tmp_path: Path
) -> None:
    async with studio.owner() as client:
        await client.trust.invite("node", ttl_s=60)  # keeps the port open
        used = await client.trust.invite("node", ttl_s=60)
        expired = await client.trust.invite("node", ttl_s=1e-6)
    async with laptop.owner() as client:
        await client.trust.enrol(used.token, used.addresses[0])
    async with guarded_node(tmp_path, "mini") as mini:
        said = [await failed_join(mini, one.token, one.addresses[0]) for one in (used, expired)]

        assert mini.trust.cluster == ""
    assert said == [
        "this invitation was used already; ask for a new invitation",
        "this invitation has expired; ask for a new invitation",
    ]
    assert await studio.denials() == [f"stranger: {said[0]}"]  # and how many more, with the next after a minute


@pytest.mark.parametrize("is_invited", [False, True])
async def test_strangers_who_ask_in_vain_close_the_port_and_leave_one_line(
    studio: GuardedNode, *, is_invited: bool
) -> None:
    async with studio.owner() as client:
        invitation = await client.trust.invite("node", ttl_s=60)
    at, token = Address.parse(invitation.addresses[0]), Token.parse(invitation.token)
    async with open_channel(at) as channel:
        described = await JoinPortStub(channel).Describe(trust_pb2.DescribeRequest(), timeout=5)
    secret = token.secret_text if is_invited else "a" * len(token.secret_text)
    request = trust_pb2.EnrolRequest(secret=secret, csr_pem=b"none", name="mini")

    async with secure_channel(
        Address(host=at.host, port=described.tls_port), roots=described.authority_pem, name=JOIN
    ) as channel:
        asked = (JoinStub(channel).Enrol(request, timeout=10) for _ in range(CONCURRENT_CALLS))
        answers = await asyncio.gather(*asked, return_exceptions=True)

    codes = Counter(answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError))
    refused = grpc.StatusCode.PERMISSION_DENIED
    read = {grpc.StatusCode.INVALID_ARGUMENT: 5} if is_invited else {}
    assert codes == {refused: CONCURRENT_CALLS - sum(read.values()), **read}
    assert len(await studio.denials()) == 1
    await until(lambda: not accepts(invitation.addresses[0]))


async def test_the_secret_goes_to_no_other_cluster_than_the_tokens(studio: GuardedNode, laptop: GuardedNode) -> None:
    async with studio.owner() as client:
        invitation = await client.trust.invite("node", ttl_s=60)
    other = Token.mint(b"\x01" * 32).text()

    said = await failed_join(laptop, other, invitation.addresses[0])

    assert said.startswith("the cluster at that address is not the one that the invitation is for, so nothing was sent")
    assert await studio.denials() == []


async def test_nobody_is_let_in_while_nobody_was_invited(studio: GuardedNode, laptop: GuardedNode) -> None:
    async with studio.owner() as client:
        invitation = await client.trust.invite("node", ttl_s=60)
    async with laptop.owner() as client:
        await client.trust.enrol(invitation.token, invitation.addresses[0])
        await client.trust.leave()
    await until(lambda: not accepts(invitation.addresses[0]))

    said = await failed_join(laptop, invitation.token, invitation.addresses[0])

    assert said.startswith(f"nobody lets new members in at {invitation.addresses[0]}")


async def test_an_invitation_for_a_client_makes_no_node(studio: GuardedNode, laptop: GuardedNode) -> None:
    async with studio.owner() as client:
        invitation = await client.trust.invite("admin", ttl_s=60)

    said = await failed_join(laptop, invitation.token, invitation.addresses[0])

    assert said.startswith("the invitation was for a client with the role 'admin', and is used up now")
    assert laptop.trust.cluster == ""


async def test_a_revoked_node_is_cut_off_at_once_and_hears_why(studio: GuardedNode, laptop: GuardedNode) -> None:
    await pair(studio, laptop)
    async with studio.owner() as client:
        await client.trust.revoke("laptop", reason="stolen")

    why = "the key of 'laptop' was revoked by owner (stolen); join the cluster with a new invitation and a new key"
    await until(lambda: laptop.view.refusals.get(studio.address) == why)
    assert studio.view.channel(laptop.trust.node_id) is None
    cut = [line for line in await studio.denials() if line == f"laptop ({laptop.trust.spki[:8]}): {why}"]
    assert len(cut) >= 2, "its stream of beats and its Hello"


async def test_a_revoked_node_comes_back_with_a_new_key_and_a_new_invitation(
    studio: GuardedNode, tmp_path: Path
) -> None:
    async with guarded_node(tmp_path, "mini") as mini:
        await pair(studio, mini)
        before = mini.trust.node_id
        async with studio.owner() as client:
            await client.trust.revoke("mini")
            invitation = await client.trust.invite("node", ttl_s=60)
        async with mini.owner() as client:
            await client.trust.leave()
            await client.trust.enrol(invitation.token, invitation.addresses[0])
    async with guarded_node(tmp_path, "mini") as again:
        assert again.trust.node_id != before
        await until(lambda: sees(again, studio))


async def test_a_node_may_not_speak_as_another_one(studio: GuardedNode, laptop: GuardedNode) -> None:
    await pair(studio, laptop)
    channel = laptop.view.channel(studio.trust.node_id)
    assert channel is not None
    hello = cluster_pb2.HelloRequest(min_protocol=1, max_protocol=1, cluster_tag="home", node_id="x" * 26, name="other")

    said = await refusal(ClusterStub(channel).Hello(hello, timeout=5))

    assert said.startswith(f"node {laptop.trust.node_id} may not speak as node {'x' * 26}")


async def test_the_founder_cannot_leave_the_others_behind(studio: GuardedNode, laptop: GuardedNode) -> None:
    await pair(studio, laptop)
    async with studio.owner() as client:
        with pytest.raises(ClientError, match=r"holds the key of the cluster's authority.*revoke laptop first"):
            await client.trust.leave()
    before = laptop.address
    async with laptop.owner() as client:
        state = await client.trust.leave()
    await until(lambda: laptop.address != before)

    assert state.cluster == ""
    async with plain_channel(laptop) as channel:
        assert (await status(channel)).node.name == "laptop"


async def test_the_authority_changes_without_anybody_losing_touch(studio: GuardedNode, laptop: GuardedNode) -> None:
    await pair(studio, laptop)
    old = studio.trust.members.bundle.digests
    async with studio.owner() as client:
        await client.trust.rotate_authority()
        await until(lambda: len(laptop.trust.members.bundle.pems) == len(("new", "old")))
        newest = studio.trust.members.bundle.pems[:1]

        def has_renewed(node: GuardedNode) -> bool:
            shown = node.trust.holdings.certificate
            return shown is not None and type(node.trust.members.bundle)(pems=newest).issued(shown.pem)

        await until(lambda: has_renewed(studio) and has_renewed(laptop))
        state = await client.trust.rotate_authority(finish=True)

    await until(lambda: laptop.trust.members.bundle.pems == newest)
    assert state.authorities != [old[0].hex()]
    assert len(state.authorities) == 1
    await until(lambda: sees(studio, laptop) and sees(laptop, studio))


async def test_another_node_is_asked_to_lead(studio: GuardedNode, laptop: GuardedNode) -> None:
    await pair(studio, laptop)
    await until(lambda: studio.view.leader == laptop.view.leader is not None)
    other = laptop if studio.view.leads else studio

    async with studio.owner() as client:
        await client.trust.transfer(other.name)

    await until(lambda: studio.view.leader == laptop.view.leader == other.trust.node_id)


async def test_a_lost_node_is_put_out_but_not_one_that_is_alive(studio: GuardedNode, tmp_path: Path) -> None:
    async with guarded_node(tmp_path, "mini") as mini:
        await pair(studio, mini)
        async with studio.owner() as client:
            with pytest.raises(ClientError, match="node 'mini' is alive"):
                await client.trust.remove_dead("mini")
    await until(lambda: "dead" in {member.state for member in studio.view.members()})
    async with studio.owner() as client:
        state = await client.trust.remove_dead("mini")

    assert [member.name for member in state.members] == ["studio"]
