"""Votes and majorities."""

from __future__ import annotations

from itertools import combinations

import pytest

from realign_daemon.decision.quorum import Electorate


def electorate(size: int) -> Electorate:
    return Electorate(home="a", voters=tuple("abcdefg"[:size]))


@pytest.mark.parametrize(
    ("size", "enough", "too_few"),
    [
        (1, ["a"], [""]),
        (2, ["a", "ab"], ["b", ""]),
        (3, ["ab", "bc"], ["a", "b", "c"]),
        (4, ["ab", "bcd"], ["a", "bc"]),
        (5, ["abc", "bcd"], ["ab", "bc"]),
    ],
)
def test_the_home_breaks_the_tie_of_an_even_number(size: int, enough: list[str], too_few: list[str]) -> None:
    assert all(electorate(size).is_majority(nodes) for nodes in enough)
    assert not any(electorate(size).is_majority(nodes) for nodes in too_few)


@pytest.mark.parametrize("size", range(1, 8))
def test_any_two_majorities_share_a_voter(size: int) -> None:
    voters = electorate(size).voters
    majorities = [
        set(nodes)
        for count in range(size + 1)
        for nodes in combinations(voters, count)
        if electorate(size).is_majority(nodes)
    ]
    assert all(left & right for left in majorities for right in majorities)


def test_who_does_not_vote_does_not_count() -> None:
    assert not electorate(3).is_majority(["b", "x", "y", "z"])


@pytest.mark.parametrize("voters", [(), ("b",), ("a", "a"), ("a", "b", "b")])
def test_an_electorate_without_its_home_or_with_a_double_vote_is_refused(voters: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        Electorate(home="a", voters=voters)
