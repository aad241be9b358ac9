"""Whether two nodes get on."""

from __future__ import annotations

from typing import Any

import pytest

from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.greeting import Greeting, Welcome, check_welcome, welcome
from realign_daemon.errors import Incompatible


def greeting(name: str, **changes: Any) -> Greeting:
    defaults: dict[str, Any] = {"tag": "t", "node": NodeId(name), "name": name, "version": "1.0"}
    return Greeting(**(defaults | changes))


def test_two_nodes_speak_the_newest_protocol_and_the_features_that_both_have() -> None:
    ours = greeting("a", min_protocol=2, max_protocol=4, features=frozenset({"x", "y"}))
    theirs = greeting("b", min_protocol=1, max_protocol=3, features=frozenset({"y", "z"}))

    answer = welcome(ours, theirs)

    assert (answer.protocol, answer.features, answer.node) == (3, frozenset({"y"}), "a")


def test_another_tag_is_refused_and_both_tags_are_named() -> None:
    with pytest.raises(Incompatible, match=r"a belongs to the cluster 't' and b to 'u'"):
        welcome(greeting("a"), greeting("b", tag="u"))


@pytest.mark.parametrize(("theirs", "older"), [((3, 3), "a"), ((0, 0), "b")])
def test_no_common_protocol_is_refused_with_both_versions_and_whom_to_upgrade(
    theirs: tuple[int, int], older: str
) -> None:
    other = greeting("b", version="9.9", min_protocol=theirs[0], max_protocol=theirs[1])

    with pytest.raises(Incompatible, match=rf"realign 1\.0 .*realign 9\.9 .*upgrade {older}$"):
        welcome(greeting("a", min_protocol=1, max_protocol=2), other)


@pytest.mark.parametrize("chosen", [1, 2])
def test_an_answer_in_a_protocol_of_ours_will_do(chosen: int) -> None:
    check_welcome(greeting("a", min_protocol=1, max_protocol=2), answer(protocol=chosen))


@pytest.mark.parametrize(("chosen", "older"), [(0, "b"), (3, "a")])
def test_an_answer_in_a_protocol_that_we_do_not_speak_is_refused_by_us_too(chosen: int, older: str) -> None:
    with pytest.raises(Incompatible, match=rf"realign 1\.0 .*realign 9\.9 .*upgrade {older}$"):
        check_welcome(greeting("a", min_protocol=1, max_protocol=2), answer(protocol=chosen))


def answer(*, protocol: int) -> Welcome:
    return Welcome(
        protocol=protocol,
        min_protocol=protocol,
        max_protocol=protocol,
        features=frozenset(),
        node=NodeId("b"),
        name="b",
        version="9.9",
    )
