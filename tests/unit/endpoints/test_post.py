"""What is wanted of a server, and when it is asked for."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from realign_daemon.endpoints.acquaintance import UNLISTED, may_chat
from realign_daemon.endpoints.chat import Abilities
from realign_daemon.endpoints.endpoint_engine import EndpointEngine
from realign_daemon.endpoints.post import LONGEST_REST_S, LOOK_EVERY_S, MOST_LISTED, Post
from realign_daemon.endpoints.server import Server
from realign_daemon.endpoints.settings import EndpointSettings
from realign_daemon.endpoints.url import read_url
from realign_daemon.engine.api import LocalModel, ModelId
from realign_daemon.testing.manual_clock import ManualClock


def post_of(*names: str, is_configured: bool = True) -> Post:
    settings = EndpointSettings(name="s", url=read_url("http://gpu.lan"))
    server = Server(settings, key="", clock=ManualClock(), chance=random.Random(1))
    return Post(server=server, names={name: f"our-{name}" for name in names}, is_configured=is_configured)


def meet(post: Post, remote: str) -> None:
    model = LocalModel(
        name=remote,
        model=ModelId("a" * 64),
        path=Path(),
        params_b=0.0,
        active_params_b=0.0,
        bits=16,
        weight_bytes=0,
        templates="standard",
        remote=remote,
    )
    post.note_met(model, EndpointEngine(post.server, name=remote, remote=remote, abilities=Abilities()), 0.0)


def listing(*names: str) -> dict[str, dict[str, object]]:
    return {name: {} for name in names}


def test_what_a_server_lists_is_wanted_where_it_is_configured_and_names_none() -> None:
    said = listing("a", "b")
    assert post_of().unmet(said, 0.0) == ("a", "b")
    assert post_of("b", "c").unmet(said, 0.0) == ("b", "c")
    assert post_of(is_configured=False).unmet(said, 0.0) == ()
    assert post_of().unmet({}, 0.0) == (UNLISTED,)


@pytest.mark.parametrize(("is_configured", "unmet"), [(True, ("a", "b", "job")), (False, ("job",))])
def test_what_a_job_wants_comes_to_what_is_wanted_anyway(*, is_configured: bool, unmet: tuple[str, ...]) -> None:
    post = post_of(is_configured=is_configured)
    post.wanted["job"] = "pocket"
    assert post.unmet(listing("a", "b"), 0.0) == unmet


def test_of_a_long_list_none_is_tried_unasked() -> None:
    said = listing(*map(str, range(MOST_LISTED + 1)))
    assert post_of().lists_too_many(said)
    assert post_of().unmet(said, 0.0) == ()
    assert post_of("3").unmet(said, 0.0) == ("3",)


def test_a_server_is_settled_once_all_that_is_wanted_of_it_was_met() -> None:
    post = post_of("a")
    assert not post.is_settled
    meet(post, "a")
    assert post.is_settled
    post.wanted["b"] = ""
    assert not post.is_settled
    meet(post, "b")
    assert post.is_settled
    post.note_missing("c", 0.0)
    assert not post.is_settled


def test_what_gave_no_answer_is_asked_again_less_and_less_often_and_is_news_once() -> None:
    post, now_s, rests_s = post_of("a"), 0.0, list[float]()
    for tries in range(12):
        assert post.note_missing("a", now_s) is (tries == 0)
        rest_s = post.missing["a"].due_s - now_s
        assert post.unmet({}, now_s + rest_s - 0.1) == ()
        now_s += rest_s
        assert post.unmet({}, now_s) == ("a",)
        rests_s.append(rest_s)
    assert rests_s[:3] == [2 * LOOK_EVERY_S, 4 * LOOK_EVERY_S, 8 * LOOK_EVERY_S]
    assert rests_s == sorted(rests_s)
    assert rests_s[-1] == LONGEST_REST_S
    meet(post, "a")
    assert post.note_missing("a", now_s)


@pytest.mark.parametrize(
    ("name", "entry", "may"),
    [
        ("qwen", {}, True),
        ("qwen", {"type": "llm"}, True),
        ("qwen", {"type": "chat"}, True),
        ("qwen", {"type": None}, True),
        ("nomic", {"type": "embeddings"}, False),
        ("nomic", {"type": "Embedding"}, False),
        ("text-embedding-nomic-embed-text-v1.5", {}, False),
        ("openai/text-embedding-3-small", {}, False),
    ],
)
def test_only_what_is_known_to_embed_is_not_tried(name: str, entry: dict[str, object], *, may: bool) -> None:
    assert may_chat(name, entry) is may
