"""What a node believes of its leader where its disk takes nothing for a while."""

from __future__ import annotations

import errno
import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from realign_daemon.cluster.address_book import AddressBook
from realign_daemon.cluster.belief import Belief
from realign_daemon.cluster.election import Leadership
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.state import ClusterState, StateFile
from realign_daemon.cluster.timing import Timing
from realign_daemon.testing.manual_clock import ManualClock

LED = Leadership(term=7, leader=NodeId("a"), heard_directly=True)


class Broken(StateFile):
    def save(self, state: ClusterState) -> None:
        raise OSError(errno.EIO, "Input/output error")


@contextmanager
def no_file_may_be_opened() -> Generator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def belief(store: StateFile) -> Belief:
    book = AddressBook(given=(), met={})
    return Belief(ClusterState(), store=store, book=book, node=NodeId("me"), clock=ManualClock(), timing=Timing())


async def test_while_too_many_files_are_open_a_node_keeps_its_old_leader_and_goes_on(tmp_path: Path) -> None:
    store = StateFile(tmp_path)
    node = belief(store)
    before = node.leadership
    await node.hold(before, ())  # so that the thread that writes is there
    with no_file_may_be_opened():
        assert not await node.hold(LED, ())
    assert (node.leadership, store.load().term) == (before, 0)
    assert await node.hold(LED, ())
    assert (node.leadership, store.load().term) == (LED, 7)


async def test_a_disk_that_fails_otherwise_is_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output"):
        await belief(Broken(tmp_path)).hold(LED, ())
