"""What a server may do wrong, over real connections, and what becomes of the tasks that were asked of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from tests.contract.endpoints.scripted_server import (
    Asked,
    ScriptedServer,
    Speak,
    completion,
    drip,
    flood,
    hang,
    raw,
    says,
    scripted,
)

from realign_daemon.clock import SystemClock
from realign_daemon.endpoints.chat import Abilities
from realign_daemon.endpoints.endpoint_engine import REMEMBERED_S, EndpointEngine
from realign_daemon.endpoints.patience import BROKEN_TRIES, LATE_TRIES
from realign_daemon.endpoints.server import Server
from realign_daemon.endpoints.settings import EndpointSettings
from realign_daemon.endpoints.url import read_url
from realign_daemon.engine.api import Fill, Generate, Message, ModelId, Sampler, Score, Sha256, Slot
from realign_daemon.engine.errors import BadTask, EndpointGone

MODEL = ModelId("a" * 64)
HELLO = (Message(role="user", content="Hello"),)
TASK = Generate(model=MODEL, messages=HELLO, sampler=Sampler(max_tokens=8), seed=3, template="t")
SCHEMA = (
    '{"type":"object","properties":{"a":{"type":"string","maxLength":3}},"required":["a"],"additionalProperties":false}'
)
FORM = Fill(model=MODEL, messages=HELLO, form=(Slot(before="", choices=("A", "B")),), template="t")
KEY = "sk-sesame"
GOOD = says(200, completion("Good day"))


@dataclass
class QuickClock(SystemClock):
    """Real time, but waits are only noted."""

    waited_s: list[float] = field(default_factory=list[float])

    def continuous(self) -> float:
        return super().continuous() + sum(self.waited_s)

    async def sleep(self, seconds: float) -> None:
        self.waited_s.append(seconds)


def engine_of(server: ScriptedServer, clock: QuickClock, **settings: object) -> EndpointEngine:
    given = EndpointSettings(name="s", url=read_url(server.url), deadline_s=5.0)
    given = replace(given, **settings)  # pyright: ignore[reportArgumentType] - fields by name
    asked = Server(given, key=KEY, clock=clock, chance=random.Random(1))
    return EndpointEngine(asked, name="far", remote="m", abilities=Abilities(seeds=True))


def is_list(asked: Asked) -> bool:
    return asked.line.startswith("GET /v1/models ")


def listing(chat: Speak, *, models: Speak) -> Callable[[Asked], Speak]:
    """Says one thing to who asks for the models, and another to all others."""
    return lambda asked: models if is_list(asked) else chat


@pytest.fixture
def clock() -> QuickClock:
    return QuickClock()


async def test_a_good_answer_costs_one_request_with_the_key_in_its_header_only(clock: QuickClock) -> None:
    async with scripted(GOOD) as server:
        result = await engine_of(server, clock).perform(TASK)
    (asked,) = server.asked
    assert (result.kind, asked.line) == ("generated", "POST /v1/chat/completions HTTP/1.1")
    assert asked.headers["authorization"] == f"bearer {KEY}"
    assert KEY not in str(asked.body)
    assert asked.body["seed"] == 3


@pytest.mark.parametrize(
    "fault",
    [
        says(500, {"error": "boom"}),
        raw(b""),
        raw(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"choices": ['),
        raw(b"\x00\x01 this is no HTTP"),
        says(200, b"<html>hello</html>"),
        says(502, b"<html>bad gateway</html>"),
    ],
    ids=["500", "hangs up", "cut in the middle", "no HTTP", "no JSON", "502"],
)
async def test_a_passing_fault_is_tried_again_and_a_lasting_one_loses_the_server(
    fault: Speak, clock: QuickClock
) -> None:
    async with scripted(fault, fault, GOOD) as server:
        assert (await engine_of(server, clock).perform(TASK)).kind == "generated"
        assert len(server.asked) == 3
        assert clock.waited_s[0] < clock.waited_s[1] < 2.0
    async with scripted(fault) as server:
        with pytest.raises(EndpointGone, match=server.url):
            await engine_of(server, clock).perform(TASK)
        assert sum("seed" in one.body for one in server.asked) == BROKEN_TRIES


async def test_a_busy_server_is_left_alone_for_as_long_as_it_says(clock: QuickClock) -> None:
    busy = says(429, {"error": {"message": "slow down"}}, Retry_After="17")
    async with scripted(busy, busy, GOOD) as server:
        assert (await engine_of(server, clock).perform(TASK)).kind == "generated"
    assert sum(clock.waited_s) >= 34.0


async def test_a_server_that_wants_an_hour_is_gone_for_now(clock: QuickClock) -> None:
    async with scripted(says(429, {"error": "quota"}, Retry_After="3600")) as server:
        with pytest.raises(EndpointGone, match="quota"):
            await engine_of(server, clock).perform(TASK)
        assert len(server.asked) == 1


async def test_nothing_follows_a_redirect_and_the_key_goes_nowhere_else(clock: QuickClock) -> None:
    async with scripted(GOOD) as elsewhere, scripted(says(307, {}, Location=elsewhere.url)) as server:
        with pytest.raises(EndpointGone, match="not followed"):
            await engine_of(server, clock).perform(TASK)
        assert elsewhere.asked == []


@pytest.mark.parametrize("silence", [hang, drip])
async def test_a_server_that_says_nothing_at_all_is_gone_after_one_deadline(silence: Speak, clock: QuickClock) -> None:
    async with scripted(silence) as server:
        with pytest.raises(EndpointGone, match=r"within 0\.1 s, and asked for its models it gave no whole answer"):
            await engine_of(server, clock, deadline_s=0.1).perform(TASK)
        assert [is_list(one) for one in server.asked] == [False, True]


@pytest.mark.parametrize("models", [says(200, {"data": []}), says(404)], ids=["a list", "404"])
async def test_a_request_that_takes_too_long_twice_while_its_server_answers_others_is_given_up(
    models: Speak, clock: QuickClock
) -> None:
    async with scripted(chosen=listing(hang, models=models)) as server:
        with pytest.raises(
            BadTask, match=r"within 0\.3 s, though it answers other requests: give it a larger deadline_s"
        ):
            await engine_of(server, clock, deadline_s=0.3).perform(TASK)
        assert [is_list(one) for one in server.asked] == [False, True] * LATE_TRIES


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_proxy_that_cannot_reach_its_server_is_no_server_that_answers_others(
    status: int, clock: QuickClock
) -> None:
    async with scripted(chosen=listing(hang, models=says(status))) as server:
        with pytest.raises(EndpointGone, match=f"asked for its models it says {status}"):
            await engine_of(server, clock, deadline_s=0.3).perform(TASK)


async def test_a_late_answer_that_was_only_in_a_queue_counts(clock: QuickClock) -> None:
    slow = iter((hang, GOOD))
    async with scripted(chosen=lambda asked: says(200, {"data": []}) if is_list(asked) else next(slow)) as server:
        assert (await engine_of(server, clock, deadline_s=0.3).perform(TASK)).kind == "generated"


@pytest.mark.parametrize(
    "fault",
    [
        says(500, {"error": "out of memory"}),
        says(200, {"choices": []}),
        says(200, {"choices": [{"message": {"content": 7}}]}),
        says(200, {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": float("inf")}}),
        raw(b""),
    ],
    ids=["500", "no choices", "no text", "no number", "hangs up"],
)
async def test_a_request_that_fails_again_and_again_at_a_server_that_is_well_is_given_up(
    fault: Speak, clock: QuickClock
) -> None:
    async with scripted(chosen=lambda asked: fault if asked.body.get("seed") == TASK.seed else GOOD) as server:
        engine = engine_of(server, clock)
        for _ in range(2):
            with pytest.raises(EndpointGone):
                await engine.perform(TASK)
        with pytest.raises(BadTask, match="answers others, and to this request 3 times"):
            await engine.perform(TASK)


async def test_outages_blame_none_of_the_requests_that_met_them_however_many_there_are(clock: QuickClock) -> None:
    async with scripted(GOOD) as server:
        engine = engine_of(server, clock)
        for _ in range(4):
            server.script = [says(500, {"error": "boom"})]
            with pytest.raises(EndpointGone):
                await engine.perform(TASK)
            server.script = [GOOD]
            assert await engine.perform(replace(TASK, seed=4))
        assert await engine.perform(TASK)


async def test_failures_that_lie_far_apart_do_not_add_up(clock: QuickClock) -> None:
    fault = says(500, {"error": "boom"})
    async with scripted(chosen=lambda asked: fault if asked.body.get("seed") == TASK.seed else GOOD) as server:
        engine = engine_of(server, clock)
        for _ in range(4):
            with pytest.raises(EndpointGone):
                await engine.perform(TASK)
            await clock.sleep(REMEMBERED_S)


async def test_a_server_that_cannot_be_reached_blames_no_request_however_often(clock: QuickClock) -> None:
    async with scripted(GOOD) as server:
        engine = engine_of(server, clock)
    for _ in range(4):
        with pytest.raises(EndpointGone):
            await engine.perform(TASK)


async def test_an_error_that_a_server_calls_good_is_told_in_its_own_words(clock: QuickClock) -> None:
    async with scripted(says(200, {"error": "Unexpected endpoint or method. (POST /v1/chat/completions)"})) as server:
        with pytest.raises(EndpointGone, match=r"says 200, and yet an error: Unexpected endpoint or method"):
            await engine_of(server, clock).perform(TASK)


async def test_half_a_character_does_not_leave_the_server(clock: QuickClock) -> None:
    async with scripted(says(200, completion("so \ud800 it is \U0001f600"))) as server:
        result = await engine_of(server, clock).perform(TASK)
    assert result.kind == "generated"
    assert result.text == "so \ufffd it is \U0001f600"


async def test_a_proxy_of_the_environment_never_sees_what_is_asked(
    clock: QuickClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted(GOOD) as proxy, scripted(GOOD) as server:
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        await engine_of(server, clock).perform(TASK)
        assert (len(server.asked), proxy.asked) == (1, [])


async def test_the_samples_of_a_judgement_end_together(clock: QuickClock) -> None:
    async with scripted(chosen=lambda asked: says(403) if asked.body.get("seed", 0) == 0 else hang) as server:
        engine = engine_of(server, clock)
        with pytest.raises(EndpointGone, match="403"):
            await engine.perform(FORM)
        assert not engine.server.is_busy


async def test_an_answer_without_an_end_is_not_read_to_it_and_not_asked_for_again(clock: QuickClock) -> None:
    async with scripted(flood) as server:
        with pytest.raises(EndpointGone, match="more than 8 MiB"):
            await engine_of(server, clock).perform(TASK)
        assert sum("seed" in one.body for one in server.asked) == 1


async def test_a_refused_request_is_a_bad_task_with_the_servers_sentence_and_without_the_key(clock: QuickClock) -> None:
    error = {"error": {"message": f"the context of 4096 tokens is too small\nfor {KEY}"}}
    async with scripted(says(400, error)) as server:
        with pytest.raises(BadTask, match="4096 tokens is too small for ") as refused:
            await engine_of(server, clock).perform(TASK)
        assert KEY not in str(refused.value)
        assert len(server.asked) == 1


async def test_a_wrong_key_is_nobodys_task(clock: QuickClock) -> None:
    async with scripted(says(401, {"error": f"bad key {KEY}"})) as server:
        with pytest.raises(EndpointGone, match="api_key_env") as refused:
            await engine_of(server, clock).perform(TASK)
        assert KEY not in str(refused.value)


async def test_a_schema_is_held_to_here_with_a_few_tries(clock: QuickClock) -> None:
    task = replace(TASK, schema=SCHEMA)
    wrong, right = says(200, completion('{"a": "much too long"}')), says(200, completion('So: {"a":"yes"}'))
    async with scripted(wrong, right) as server:
        result = await engine_of(server, clock).perform(task)
        assert result.kind == "generated"
        assert result.text == '{"a": "yes"}'
        assert [one.body["seed"] for one in server.asked] == [3, 4]
    async with scripted(wrong) as server:
        with pytest.raises(BadTask, match="schema"):
            await engine_of(server, clock).perform(task)
        assert len(server.asked) == 3


async def test_without_probabilities_a_judgement_is_counted_and_says_so(clock: QuickClock) -> None:
    a, b = says(200, completion("A")), says(200, completion("B"))
    async with scripted(a, a, a, b) as server:
        filled = await engine_of(server, clock, concurrency=1).perform(FORM)
        assert filled.kind == "filled"
        assert (filled.probabilities, filled.samples) == (((0.3, 0.7),), 10)
        assert {one.body["temperature"] for one in server.asked} == {1.0}


async def test_what_needs_weights_is_refused_with_what_to_do(clock: QuickClock) -> None:
    async with scripted(GOOD) as server:
        engine = engine_of(server, clock)
        with pytest.raises(BadTask, match="--target"):
            await engine.perform(Score(model=MODEL, messages=HELLO, completion="x"))
        with pytest.raises(BadTask, match="adapter"):
            await engine.perform(replace(TASK, adapter=Sha256("b" * 64)))
        assert server.asked == []
