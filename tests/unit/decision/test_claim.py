"""Claim: who decides, and who is missing for it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.decision.claim import Claim
from realign_daemon.decision.quorum import Electorate

OF_THREE = Claim(home="a", voters=("a", "b", "c"))
nodes = st.frozensets(st.sampled_from("abcdefg"))


def test_the_home_of_a_job_that_is_older_than_votes_decides_alone() -> None:
    claim = Claim(home="a")
    assert claim.electorate == Electorate(home="a", voters=("a",))
    assert claim.missing({"a"}) == ()
    assert claim.missing({"b"}) == ("a",)


def test_those_are_missing_who_could_make_a_majority() -> None:
    assert OF_THREE.missing({"a"}) == ("b", "c")
    assert OF_THREE.missing({"c", "stranger"}) == ("a", "b")
    assert OF_THREE.missing({"b", "c"}) == (), "who is away does not matter then"
    assert replace(OF_THREE, voters=("a", "b")).missing({"a"}) == (), "the home of two needs nobody"


@given(voters=nodes, here=nodes)
def test_nobody_is_missing_exactly_where_there_is_a_majority(voters: frozenset[str], here: frozenset[str]) -> None:
    claim = Claim(home="a", voters=tuple(sorted(voters | {"a"})))
    missing = claim.missing(here)
    assert bool(missing) != claim.electorate.is_majority(here)
    assert not here.intersection(missing)
    assert claim.electorate.is_majority({*here, *missing})
