"""After a node has said what it should not have: the sound ones find together again, as docs/cluster.md tells how."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.trust.guarded_node import GuardedNode, found, guarded_node, pair, sees, until

from realign_client.errors import ClientError
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.trust.member import Revocation


async def leave(node: GuardedNode) -> None:
    async with node.owner() as client:
        await client.trust.leave()


async def hear_of(node: GuardedNode, *revoked: SpkiHash) -> None:
    """The node is told that these were revoked, as a hostile member's journal can tell it."""
    for spki in revoked:
        await node.trust.keep_revocation(
            Revocation(spki=spki, reason="", revoked_by="laptop (12345678)", revoked_at_unix_s=1.0)
        )


async def test_sound_nodes_that_were_all_revoked_meet_again_in_a_new_cluster(tmp_path: Path) -> None:
    async with guarded_node(tmp_path, "studio") as studio, guarded_node(tmp_path, "mini") as mini:
        await found(studio)
        await pair(studio, mini)
        for node in (studio, mini):
            await hear_of(node, studio.trust.spki, mini.trust.spki)
        await until(lambda: not sees(studio, mini) and not sees(mini, studio))
        await leave(studio)
        await leave(mini)

    async with guarded_node(tmp_path, "studio") as studio, studio.owner() as client:
        with pytest.raises(ClientError, match="run this again"):
            await client.trust.found("again")  # it has a new key from its next start on
    async with guarded_node(tmp_path, "studio") as studio, guarded_node(tmp_path, "mini") as mini:
        await found(studio, "again")
        async with studio.owner() as client:
            invitation = await client.trust.invite("node", ttl_s=60)
        async with mini.owner() as client:
            await client.trust.enrol(invitation.token, invitation.addresses[0])  # under a new key, from its next start
    async with (
        guarded_node(tmp_path, "studio") as studio,
        guarded_node(tmp_path, "mini", peers=(studio.address,)) as mini,  # which Bonjour would have found
    ):
        await until(lambda: sees(studio, mini) and sees(mini, studio))
