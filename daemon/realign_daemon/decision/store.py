"""DecisionStore: this node's acceptors and the decisions it knows, in its database. Nothing is answered uncommitted.

A decision that gives a job another home moves the job's row in the same transaction; see journal.rehoming.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from realign_daemon.decision import acceptor, amnesia
from realign_daemon.decision.acceptor import Acceptor
from realign_daemon.decision.ballot import NEVER, Ballot, Vote, next_config_epoch
from realign_daemon.decision.messages import Accept, Decision, Prepare, Reply, Request
from realign_daemon.journal import rehoming
from realign_daemon.journal.jobs import JOBS, is_removed
from realign_daemon.journal.kind import noted
from realign_daemon.work.database import Database

# Called in the transaction in which a decision changed, with its job and instance: the journal takes note of it.
Noted = Callable[[sqlite3.Connection, str, int], None]
# Called in the transaction of an adoption, with the config epoch that it begins: what holds from the same moment on.
Also = Callable[[sqlite3.Connection, int], None]


class DecisionStore:
    """Every call is one durable transaction."""

    def __init__(self, database: Database, *, noted: Noted) -> None:
        self._database = database
        self._noted = noted

    async def answer(self, request: Request) -> Reply:
        """This node's answer as a voter, for a job that it has never heard of, too; see amnesia for the exceptions."""

        def work(connection: sqlite3.Connection) -> Reply:
            before = _acceptor(connection, request.job_id, request.instance)
            match request:
                case Prepare(ballot=ballot):
                    after, reply = acceptor.prepare(before, ballot)
                case Accept(ballot=ballot, value=value):
                    after, reply = acceptor.accept(before, ballot, value)
                case _:
                    assert_never(request)
            _save(connection, request.job_id, request.instance, before, after)
            return reply

        return await self._database.run(work)

    async def claim(self, job_id: str, instance: int, *, node: str, config_epoch: int, above: Ballot) -> Reply:
        """A ballot for this node that it has never used; see acceptor.claim."""

        def work(connection: sqlite3.Connection) -> Reply:
            before = _acceptor(connection, job_id, instance)
            after, reply = acceptor.claim(before, node, config_epoch, above)
            _save(connection, job_id, instance, before, after)
            return reply

        return await self._database.run(work)

    async def learn(self, job_id: str, instance: int, decision: Decision) -> Decision:
        """The decision that stands here with this one taken in. Raises Diverged; see acceptor.learn."""

        def work(connection: sqlite3.Connection) -> Decision:
            if merge_decision(connection, job_id, instance, decision):
                self._noted(connection, job_id, instance)
            return read_decision(connection, job_id, instance) or decision

        return await self._database.run(work)

    async def adopt(self, job_id: str, instance: int, *, node: str, value: bytes, also: Also | None = None) -> Decision:
        """The value, decided by a person without a vote, in a config epoch above all that are known here.

        The node claims its first ballot of the next instance with it: in this config epoch its ledger knows all that
        it will ever say, even where an earlier ledger was lost.
        """

        def work(connection: sqlite3.Connection) -> Decision:
            known = max(_known_epochs(connection, job_id))
            epoch = next_config_epoch(known, amnesia.tag(connection, node))
            decision = Decision(config_epoch=epoch, value=value)
            merge_decision(connection, job_id, instance, decision)
            self._noted(connection, job_id, instance)
            following = replace(_acceptor(connection, job_id, instance + 1), config_epochs=frozenset({epoch}))
            after, _ = acceptor.claim(following, node, epoch, NEVER)
            _save(connection, job_id, instance + 1, following, after)
            if also is not None:
                also(connection, epoch)
            return decision

        return await self._database.run(work)

    async def decision(self, job_id: str, instance: int) -> Decision | None:
        """What stands here."""
        return await self._database.run(lambda connection: read_decision(connection, job_id, instance))


def read_decision(connection: sqlite3.Connection, job_id: str, instance: int) -> Decision | None:
    """The decision that stands here, inside a transaction of the caller."""
    row = connection.execute(
        "SELECT config_epoch, value FROM decisions WHERE job_id=? AND instance=?", (job_id, instance)
    ).fetchone()
    return None if row is None else Decision(config_epoch=row[0], value=row[1])


def merge_decision(connection: sqlite3.Connection, job_id: str, instance: int, decision: Decision) -> bool:
    """Whether the decision changed what stands here, inside a transaction of the caller, who takes note of a change.

    Of a removed job nothing is kept.

    Raises:
        Diverged: another value stands in the same config epoch.
    """
    if is_removed(connection, job_id):
        return False
    held = Acceptor(decision=read_decision(connection, job_id, instance))
    if acceptor.learn(held, decision) is held:
        return False
    connection.execute(
        "INSERT OR REPLACE INTO decisions VALUES (?,?,?,?)", (job_id, instance, decision.config_epoch, decision.value)
    )
    if rehoming.advance(connection, job_id):
        noted(connection, JOBS, job_id)
    return True


def _acceptor(connection: sqlite3.Connection, job_id: str, instance: int) -> Acceptor:
    row = connection.execute(
        "SELECT promised_config_epoch, promised_epoch, promised_node, voted_config_epoch, voted_epoch, voted_node, "
        "voted_value FROM ballots WHERE job_id=? AND instance=?",
        (job_id, instance),
    ).fetchone()
    return Acceptor(
        promised=NEVER if row is None else _ballot(row[:3]),
        vote=None if row is None or row[6] is None else Vote(ballot=_ballot(row[3:6]), value=row[6]),
        decision=read_decision(connection, job_id, instance),
        config_epochs=amnesia.open_epochs(connection, job_id, _known_epochs(connection, job_id)),
    )


def _known_epochs(connection: sqlite3.Connection, job_id: str) -> frozenset[int]:
    rows = connection.execute("SELECT DISTINCT config_epoch FROM decisions WHERE job_id=?", (job_id,)).fetchall()
    return frozenset({0, *(int(row[0]) for row in rows)})


def _ballot(columns: tuple[int, int, str]) -> Ballot:
    return Ballot(config_epoch=columns[0], epoch=columns[1], node=columns[2])


def _save(connection: sqlite3.Connection, job_id: str, instance: int, before: Acceptor, after: Acceptor) -> None:
    if after == before:
        return
    promised, vote = after.promised, after.vote
    voted = (vote.ballot.config_epoch, vote.ballot.epoch, vote.ballot.node, vote.value) if vote else (None,) * 4
    connection.execute(
        "INSERT OR REPLACE INTO ballots VALUES (?,?,?,?,?,?,?,?,?)",
        (job_id, instance, promised.config_epoch, promised.epoch, promised.node, *voted),
    )
