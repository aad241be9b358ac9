"""What can be decided, as canonical bytes, and the manifest that an end names."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.decision.value import Ended, EndState, Rehomed, Value, manifest, value_from_bytes, value_to_bytes
from realign_daemon.engine.api import Sha256
from realign_daemon.work.units import UnitKey

DIGEST = Sha256("0" * 64)
nodes = st.from_regex(r"[0-9A-Za-z_-]{1,26}", fullmatch=True)
digests = st.binary(max_size=4).map(lambda data: Sha256(hashlib.sha256(data).hexdigest()))
ended = st.builds(Ended, state=st.sampled_from(get_args(EndState)), manifest=digests)
rehomed = st.sets(nodes, min_size=1, max_size=5).flatmap(
    lambda voters: st.builds(Rehomed, home=st.sampled_from(sorted(voters)), voters=st.just(tuple(sorted(voters))))
)


@given(value=ended | rehomed)
def test_a_value_comes_back_from_its_bytes(value: Value) -> None:
    assert value_from_bytes(value_to_bytes(value)) == value


def test_the_bytes_of_a_value_are_json_with_sorted_keys_and_no_spaces() -> None:
    assert value_to_bytes(Rehomed(home="b", voters=("a", "b"))) == b'{"rehome":"b","voters":["a","b"]}'
    assert value_to_bytes(Ended(state="blocked", manifest=DIGEST)) == b'{"end":"blocked","manifest":"%b"}' % (b"0" * 64)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"null",
        b"[" * 50_000,
        b'{"end":"completed"}',
        b'{"end":"done","manifest":"%b"}' % (b"0" * 64),
        b'{"end":"completed","manifest":"%b"}' % (b"0" * 63),
        b'{"end":"completed","manifest":"%b"}' % (b"A" * 64),
        b'{"end":["completed"],"manifest":"%b"}' % (b"0" * 64),
        b'{"end":"completed","manifest":"%b","x":1}' % (b"0" * 64),
        b'{"manifest":"%b","end":"completed"}' % (b"0" * 64),
        b'{"end": "completed","manifest":"%b"}' % (b"0" * 64),
        b'{"end":"failed","end":"completed","manifest":"%b"}' % (b"0" * 64),
        '{"rehome":"b","voters":["b"]}'.encode("utf-16"),
        b'{"rehome":"b","voters":["a"]}',
        b'{"rehome":"b","voters":["b","a"]}',
        b'{"rehome":"b","voters":["b","b"]}',
        b'{"rehome":"b","voters":["b",1]}',
        b'{"rehome":"b","voters":"b"}',
        b'{"rehome":"","voters":[""]}',
        b'{"rehome":"a/b","voters":["a/b"]}',
        json.dumps({"rehome": "0", "voters": [f"{n:064}" for n in range(2000)]}, separators=(",", ":")).encode(),
    ],
)
def test_bytes_that_are_not_the_canonical_ones_of_a_value_are_refused(encoded: bytes) -> None:
    with pytest.raises(ValueError):
        value_from_bytes(encoded)


@given(encoded=st.binary(max_size=80))
def test_any_bytes_are_a_value_or_a_value_error(encoded: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert value_to_bytes(value_from_bytes(encoded)) == encoded


@pytest.mark.parametrize(("home", "voters"), [("c", ("a", "b")), ("b", ("b", "a")), ("a", ()), ("a", ("a", "a"))])
def test_a_home_without_a_vote_and_voters_out_of_order_make_no_value(home: str, voters: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        value_to_bytes(Rehomed(home=home, voters=voters))


@given(
    results=st.dictionaries(digests.map(UnitKey), digests),
    quarantined=st.sets(digests.map(UnitKey)),
    data=st.data(),
)
def test_a_manifest_does_not_depend_on_any_order(
    results: dict[UnitKey, Sha256], quarantined: set[UnitKey], data: st.DataObject
) -> None:
    listed = data.draw(st.permutations(list(results.items())))
    given_up = data.draw(st.permutations(list(quarantined)))
    assert manifest(listed, given_up) == manifest(results.items(), quarantined)


def test_a_manifest_tells_apart_every_change() -> None:
    one, two = UnitKey("1" * 64), UnitKey("2" * 64)
    left, right = Sha256("a" * 64), Sha256("b" * 64)
    manifests = [
        manifest([], []),
        manifest([(one, left)], []),
        manifest([(one, right)], []),
        manifest([(one, left), (two, left)], []),
        manifest([(one, left)], [two]),
        manifest([], [one, two]),
    ]
    assert len(set(manifests)) == len(manifests)


def test_a_manifest_is_the_hash_of_plain_json_that_anybody_can_compute() -> None:
    listed = b'{"quarantined":["c"],"results":[["a","1"],["b","2"]]}'
    found = manifest([(UnitKey("b"), Sha256("2")), (UnitKey("a"), Sha256("1"))], [UnitKey("c")])
    assert found == hashlib.sha256(listed).hexdigest()
