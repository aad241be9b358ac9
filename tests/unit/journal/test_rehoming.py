"""A decision that gives a job another home moves its row, on every node alike, in whatever order they hear of what."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.decision.value import Ended, Rehomed, Value, value_to_bytes
from realign_daemon.engine.api import Sha256
from realign_daemon.engine.codec import pack
from realign_daemon.journal.decisions import DECISIONS
from realign_daemon.journal.entries import Ref
from realign_daemon.journal.jobs import JOBS
from realign_daemon.journal.kind import merged, noted
from realign_daemon.work.schema import prepare

Thing = tuple[Ref, bytes]
NODES = ("a", "b", "c")
DONE = Ended(state="completed", manifest=Sha256("d" * 64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    home: str = "a"
    voters: tuple[str, ...] = ()
    config_epoch: int = 0
    instance: int = 0
    revision: int = 0

    @property
    def thing(self) -> Thing:
        fields = {"client_token": "t", "spec": f'"{self.revision}"', "created_unix_s": 1.0, "owner": "", "blobs": "[]"}
        numbers = {"config_epoch": self.config_epoch, "instance": self.instance, "revision": self.revision}
        voters = json.dumps(self.voters)
        return Ref(kind="job", ref="J"), pack(fields | {"home": self.home, "voters": voters} | numbers)


def decided(instance: int, value: Value, *, config_epoch: int = 0) -> Thing:
    payload = pack({"config_epoch": config_epoch, "value": value_to_bytes(value)})
    return Ref(kind="decision", ref=f"J/{instance}"), payload


def held(things: Sequence[Thing]) -> bytes | None:
    """The job as a node shows it that took these in, in this order."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        prepare(connection, Path("memory"))
        for ref, payload in things:
            merged(connection, JOBS if ref.kind == "job" else DECISIONS, ref.ref, payload)
        before = connection.execute("SELECT kind, digest FROM journal").fetchall()
        noted(connection, JOBS, "J")
        assert connection.execute("SELECT kind, digest FROM journal").fetchall() == before, "the journal has it so"
        return JOBS.load(connection, "J")


TO_B = Rehomed(home="b", voters=("b", "c"))
AT_B = Row(home="b", voters=("b", "c"))


@pytest.mark.parametrize(
    ("row", "decision", "moved"),
    [
        (Row(revision=2), decided(0, TO_B), replace(AT_B, instance=1, revision=2)),
        (Row(instance=1, config_epoch=9), decided(1, TO_B, config_epoch=9), replace(AT_B, instance=2, config_epoch=9)),
        (Row(), decided(0, TO_B, config_epoch=9), replace(AT_B, instance=1, config_epoch=9)),
        (Row(instance=5), decided(0, TO_B, config_epoch=9), replace(AT_B, instance=1, config_epoch=9)),
        (Row(), decided(3, TO_B), replace(AT_B, instance=4)),  # what was decided before has not come yet
        (Row(instance=1), decided(0, TO_B), Row(instance=1)),
        (Row(config_epoch=9), decided(0, TO_B), Row(config_epoch=9)),
        (Row(), decided(0, DONE), Row()),
    ],
)
def test_a_decision_moves_a_job_that_is_not_as_far_whichever_of_the_two_comes_first(
    row: Row, decision: Thing, moved: Row
) -> None:
    assert held((row.thing, decision)) == held((decision, row.thing)) == moved.thing[1]


def test_a_decision_on_a_job_that_is_not_here_waits_for_it() -> None:
    assert held((decided(0, TO_B),)) is None


@dataclass(slots=True)
class Life:
    """What a job went through, in the order in which it did: rows and decisions."""

    row: Row = field(default_factory=Row)
    things: list[Thing] = field(default_factory=list[Thing])


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Moved by a majority, adopted (also at an instance that its home had left), ended and retried, set anew."""
    life = Life(things=[Row().thing])
    for _ in range(draw(st.integers(0, 5))):
        row = life.row
        value = Rehomed(home=draw(st.sampled_from(NODES)), voters=NODES)
        match draw(st.sampled_from(("moved", "adopted", "retried", "set"))):
            case "moved":
                life.things.append(decided(row.instance, value, config_epoch=row.config_epoch))
                life.row = replace(row, home=value.home, voters=NODES, instance=row.instance + 1)
            case "adopted":
                instance, epoch = draw(st.integers(0, row.instance)), row.config_epoch + 1
                life.things.append(decided(instance, value, config_epoch=epoch))
                life.row = replace(row, home=value.home, voters=NODES, instance=instance + 1, config_epoch=epoch)
            case "retried":
                life.things.append(decided(row.instance, DONE, config_epoch=row.config_epoch))
                life.row = replace(row, voters=NODES, instance=row.instance + 1)
            case _:
                life.row = replace(row, revision=row.revision + 1)
        life.things.append(life.row.thing)
    return life


@given(life=lives(), data=st.data())
def test_the_job_is_where_it_ended_up_in_whatever_order_its_rows_and_decisions_come(
    life: Life, data: st.DataObject
) -> None:
    assert held(data.draw(st.permutations(life.things))) == life.row.thing[1]


@given(life=lives(), data=st.data())
def test_a_job_whose_latest_row_got_lost_is_where_the_decisions_put_it_in_whatever_order_they_come(
    life: Life, data: st.DataObject
) -> None:
    """The earliest row and the decisions are enough to agree."""
    things = [life.things[0], *(thing for thing in life.things if thing[0].kind == "decision")]
    assert held(data.draw(st.permutations(things))) == held(things)
