"""Request bounds: what is too large is refused by name, and what is as large as it may be is not."""

from __future__ import annotations

from typing import Any

import pytest

from realign_daemon.config import LimitsConfig
from realign_daemon.curation.intake import Request
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput, Full
from realign_daemon.rpc import request_bounds as bounds
from realign_daemon.rpc.request_bounds import check_bounds

LIMITS = LimitsConfig(source_bytes=1000, rows_per_job=100, tokens_per_answer=512)
SHA256 = Sha256("a1" * 32)


def source(name: str = "a.txt", sha256: Sha256 = SHA256, size_bytes: int = 10) -> SourceSpec:
    return SourceSpec(name=name, sha256=sha256, size_bytes=size_bytes)


def request(changes: dict[str, Any]) -> Request:
    values: dict[str, Any] = {"text": "DPO pairs", **changes}
    return Request(**values)


@pytest.mark.parametrize(
    "most",
    [
        {"text": "x" * bounds.TEXT_CHARACTERS},
        {"model": "x" * bounds.NAME_CHARACTERS},
        {"nodes": ("n",) * bounds.NAMES},
        {"settings": {f"k{number}": "v" for number in range(bounds.SETTINGS)}},
        {"settings": {"system": "x" * bounds.VALUE_CHARACTERS}},
        {"settings": {"max_tokens": "512"}},
        {"settings": {"max_tokens": "many"}},
        {"count": 100},
        {"sources": (source(size_bytes=500), source(sha256=Sha256("b2" * 32), size_bytes=500))},
        {"sources": (source(size_bytes=900), source(name="again.txt", size_bytes=900))},
        {"sources": (source(),) * bounds.SOURCES},
        {"sources": (source(name="share:books/a.txt", sha256=Sha256(""), size_bytes=0),)},
    ],
)
def test_a_request_may_be_as_large_as_the_bounds(most: dict[str, Any]) -> None:
    check_bounds(request(most), LIMITS)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"text": "x" * (bounds.TEXT_CHARACTERS + 1)}, "the request has 16385 characters"),
        ({"judge": "x" * (bounds.NAME_CHARACTERS + 1)}, "judge has 1025 characters"),
        ({"exclude_nodes": ("n",) * (bounds.NAMES + 1)}, "257 exclude_nodes are given"),
        ({"judges": ("x" * 2000,)}, "one of the judges has 2000 characters"),
        ({"columns": {str(number): "v" for number in range(bounds.SETTINGS + 1)}}, "129 columns are given"),
        ({"settings": {"x" * 2000: "v"}}, "a key of settings has 2000 characters"),
        ({"overrides": {"gap": "x" * 5000}}, "gap in overrides has 5000 characters"),
        ({"drops": ("page 1",) * (bounds.DROPS + 1)}, "10001 drops are given"),
        ({"settings": {"count": "101"}}, "101 is more than the 100 that this node takes for count"),
        ({"count": 101}, "101 is more than the 100 that this node takes for count"),
        ({"settings": {"max_tokens": "513"}}, r"for max_tokens; ask for less or raise \[limits\] tokens_per_answer"),
        ({"sources": (source(),) * (bounds.SOURCES + 1)}, "10001 sources are given"),
        ({"eval_sets": (source(name="x" * 2000),)}, "the name of a source has 2000 characters"),
        ({"data": source(size_bytes=1001)}, "1001 is more than the 1000 that this node takes for bytes of sources"),
    ],
)
def test_what_is_larger_is_refused_in_one_sentence_that_says_what(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Full, match=sentence) as refused:
        check_bounds(request(more), LIMITS)
    assert refused.value.exit_code == 1
    assert len(str(refused.value)) < 1500


@pytest.mark.parametrize("name", ["A1" * 32, "a1", "../" * 21 + "a", "a1" * 32 + "\n"])
def test_a_source_is_named_by_a_hash_and_nothing_like_one(name: str) -> None:
    with pytest.raises(BadInput, match="not named by a SHA-256"):
        check_bounds(Request(text="DPO pairs", sources=(source(sha256=Sha256(name)),)), LIMITS)
