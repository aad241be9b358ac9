"""A witness among nodes: it holds what was decided and removed, and never counts as a second disk."""

from __future__ import annotations

from pathlib import Path

from tests.contract.journal.peers import Network, Peer, job

from realign_daemon.decision.messages import Decision
from realign_daemon.decision.store import DecisionStore
from realign_daemon.decision.value import Ended, value_to_bytes
from realign_daemon.engine.api import Sha256
from realign_daemon.journal.decisions import noted_decision
from realign_daemon.journal.entries import Ref
from realign_daemon.witness import KINDS as OF_A_WITNESS

DONE = Decision(config_epoch=0, value=value_to_bytes(Ended(state="completed", manifest=Sha256("d" * 64))))
FOREVER_S = 3600.0


async def learn(node: Peer, job_id: str) -> None:
    await DecisionStore(node.database, noted=noted_decision).learn(job_id, 0, DONE)


async def test_a_witness_takes_in_what_was_decided_and_removed_passes_it_on_and_holds_nothing_else(
    tmp_path: Path,
) -> None:
    network = Network()
    async with (
        Peer("a", tmp_path / "a", network, witnesses=("w",)) as a,
        Peer("w", tmp_path / "w", network, kinds=OF_A_WITNESS) as witness,
    ):
        await a.ledger.add_job(job("J"))
        await a.add("k")
        await a.ledger.remove_job("gone", by="owner", at_unix_s=1.0)
        await learn(a, "J")
        expected = {Ref(kind="decision", ref="J/0"), Ref(kind="tombstone", ref="gone")}
        await witness.until(lambda: _holds(witness, expected))
        assert await witness.held() == expected

        await learn(witness, "K")
        await a.until(lambda: _holds(a, {Ref(kind="decision", ref="K/0")}))


async def _holds(node: Peer, expected: set[Ref]) -> bool:
    return expected <= await node.held()


async def test_a_submit_waits_for_no_copy_on_a_witness(tmp_path: Path) -> None:
    network = Network()
    async with (
        Peer("a", tmp_path / "a", network, witnesses=("w",)) as a,
        Peer("w", tmp_path / "w", network, kinds=OF_A_WITNESS),
    ):
        await a.ledger.add_job(job("J"))
        assert await a.replicator.copies(Ref(kind="job", ref="J"), within_s=FOREVER_S) == 1
