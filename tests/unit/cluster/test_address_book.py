"""The address book: what is remembered of where nodes are, and what is forgotten."""

from __future__ import annotations

from realign_daemon.cluster.address_book import REMEMBERED_NODES, AddressBook
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.beats import KnownPeer
from realign_daemon.cluster.discovery import PeerFound, PeerGone
from realign_daemon.cluster.facts import NodeId

A, B = NodeId("a"), NodeId("b")


def at(number: int) -> Address:
    return Address(host=f"10.0.0.{number}", port=1)


def test_every_way_gives_addresses_and_what_was_given_names_nobody() -> None:
    book = AddressBook(given=[at(1)], met={A: (at(2),)})
    book.find(PeerFound(node=B, addresses=(at(3),)))

    assert book.hear_of([KnownPeer(node=B, addresses=(at(4),)), KnownPeer(node=A, addresses=(at(5),))])
    assert set(book.entries()) == {(at(1), None), (at(2), A), (at(3), B), (at(4), B)}


def test_a_node_that_is_met_displaces_what_others_said_of_it() -> None:
    book = AddressBook(given=[], met={})
    book.hear_of([KnownPeer(node=A, addresses=(at(1),))])

    assert book.meet(A, (at(2), at(3)))
    assert not book.meet(A, (at(3), at(2))), "the same in another order is no news"
    assert not book.hear_of([KnownPeer(node=A, addresses=(at(1),))])
    assert set(book.entries()) == {(at(2), A), (at(3), A)}


def test_an_announcement_that_is_taken_back_is_forgotten() -> None:
    book = AddressBook(given=[], met={})
    book.find(PeerFound(node=A, addresses=(at(1),)))
    book.find(PeerGone(node=A))

    assert list(book.entries()) == []


def test_no_stranger_can_fill_the_book() -> None:
    book = AddressBook(given=[], met={})
    for number in range(2 * REMEMBERED_NODES):
        node = NodeId(str(number))
        book.meet(node, (at(1),))
        book.find(PeerFound(node=node, addresses=(at(2),)))
        book.hear_of([KnownPeer(node=NodeId(f"x{number}"), addresses=(at(3),))])

    assert len(list(book.entries())) == 3 * REMEMBERED_NODES
    assert list(book.met)[-1] == str(2 * REMEMBERED_NODES - 1)
