"""How the models of configured servers are found: beside some that do not write, and servers that say nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.contract.endpoints.scripted_server import Asked, ScriptedServer, Speak, completion, hang, raw, says, scripted

from realign_daemon.curation.spec import ModelPin
from realign_daemon.endpoints.chat import Abilities
from realign_daemon.endpoints.endpoints import KNOWN_S, Endpoints
from realign_daemon.endpoints.post import LOOK_EVERY_S
from realign_daemon.endpoints.settings import EndpointSettings
from realign_daemon.endpoints.url import read_url
from realign_daemon.engine.api import ModelId
from realign_daemon.engine.errors import EndpointGone
from realign_daemon.errors import BadInput, NothingFits
from realign_daemon.testing.manual_clock import ManualClock

pytestmark = pytest.mark.deadline(30)
NO_CHAT = says(400, {"error": {"message": "this model does not support chat"}})
GOOD = says(200, completion("fine"))


def server_of(models: Mapping[str, Speak], **entry: object) -> Callable[[Asked], Speak]:
    """Lists these models, and answers as they do."""

    def chosen(asked: Asked) -> Speak:
        if asked.line.startswith("GET /v1/models "):
            return says(200, {"data": [{"id": name, **entry} for name in models]})
        return models.get(asked.body["model"], says(404))

    return chosen


def settings_of(server: ScriptedServer, name: str = "s", **more: Any) -> EndpointSettings:
    return replace(EndpointSettings(name=name, url=read_url(server.url), deadline_s=5.0), **more)


@asynccontextmanager
async def looking(clock: ManualClock, *configured: EndpointSettings) -> AsyncGenerator[Endpoints]:
    """The endpoints, while they are looked for."""
    endpoints = Endpoints(configured, environment={}, clock=clock, chance=random.Random(1))
    task = asyncio.create_task(endpoints.run())
    try:
        yield endpoints
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class ShortWaits(ManualClock):
    """Waits between tries are not waited, looks are."""

    async def sleep(self, seconds: float) -> None:
        await (super().sleep(seconds) if seconds >= LOOK_EVERY_S else asyncio.sleep(0))


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - it is looked at, nobody announces it
        await asyncio.sleep(0)


def found(endpoints: Endpoints) -> set[str]:
    return {model.remote for model in endpoints.models}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    "fault", [NO_CHAT, says(500, {"error": "boom"}), says(503), says(403), says(200, {"choices": []})]
)
async def test_a_model_that_gives_no_answer_hides_no_other_wherever_it_stands_and_is_named_once(
    place: int, fault: Speak
) -> None:
    models = ["a", "b"]
    models.insert(place, "bert")
    clock = ShortWaits()
    chosen = server_of({name: fault if name == "bert" else GOOD for name in models})
    with capture_logs() as logs:
        async with scripted(chosen=chosen) as server, looking(clock, settings_of(server)) as endpoints:
            await until(lambda: found(endpoints) == {"a", "b"} and any_warning(logs))
            asked = len(server.asked)
            clock.advance(10 * LOOK_EVERY_S)
            await until(lambda: len(server.asked) > asked + 1)
    warned = [one for one in logs if one["log_level"] == "warning"]
    assert [(one["event"], one["model"]) for one in warned] == [("endpoint.model_missing", "bert")]
    assert "`models`" in warned[0]["remedy"]


def any_warning(logs: list[Any]) -> bool:
    return any(one["log_level"] == "warning" for one in logs)


async def test_a_model_that_gave_no_answer_is_met_when_it_does() -> None:
    models = {"a": GOOD, "b": NO_CHAT}
    clock = ShortWaits()
    async with scripted(chosen=server_of(models)) as server, looking(clock, settings_of(server)) as endpoints:
        await until(lambda: found(endpoints) == {"a"} and any(one.body.get("model") == "b" for one in server.asked))
        models["b"] = GOOD
        while found(endpoints) != {"a", "b"}:
            clock.advance(LOOK_EVERY_S)
            await asyncio.sleep(0)


async def test_a_model_of_which_the_server_says_that_it_makes_embeddings_is_not_asked() -> None:
    for models, entry in (({"nomic": GOOD}, {"type": "embeddings"}), ({"text-embedding-nomic": GOOD}, {})):
        clock = ShortWaits()
        with capture_logs() as logs:
            async with scripted(chosen=server_of(models, **entry)) as server:
                async with looking(clock, settings_of(server)) as endpoints:
                    await until(lambda logs=logs: any_warning(logs))
                    with pytest.raises(BadInput, match="no model that writes"):
                        await endpoints.open(server.url)
                assert all("model" not in one.body for one in server.asked)
        assert [one["reason"] for one in logs if one["event"] == "endpoint.absent"] == [
            "lists no model that writes: name one in `models` of 's'"
        ]


async def test_the_one_model_that_writes_need_not_be_named() -> None:
    clock = ShortWaits()
    async with scripted(chosen=server_of({"text-embedding-x": NO_CHAT, "m": GOOD})) as server:
        endpoints = Endpoints((), environment={}, clock=clock, chance=random.Random(1))
        assert (await endpoints.open(server.url)).remote == "m"


async def test_a_server_that_says_nothing_keeps_nobody_from_another() -> None:
    clock = ShortWaits()
    async with scripted(chosen=server_of({"m": hang})) as silent, scripted(chosen=server_of({"m": GOOD})) as other:
        first, second = settings_of(silent, "silent"), settings_of(other, "other")
        async with looking(clock, first, second) as endpoints:
            await until(lambda: bool(endpoints.models))
            assert [model.endpoint for model in endpoints.models] == [other.url]
            assert (await endpoints.open(other.url)).endpoint == other.url


async def test_a_server_that_lists_too_many_is_told_so_once_and_what_a_job_wants_of_it_is_met() -> None:
    clock = ShortWaits()
    chosen = server_of({f"m{number}": GOOD for number in range(9)})
    with capture_logs() as logs:
        async with scripted(chosen=chosen) as server, looking(clock, settings_of(server)) as endpoints:
            await until(lambda: any_warning(logs))
            clock.advance(LOOK_EVERY_S)
            await until(lambda: len(server.asked) > 1)
            await endpoints.reopen([pin_of(server, "m7")])
            assert found(endpoints) == {"m7"}
    assert sum(one["log_level"] == "warning" for one in logs) == 1


async def test_a_key_that_is_refused_is_told_once() -> None:
    clock = ShortWaits()
    with capture_logs() as logs:
        async with scripted(says(401)) as server, looking(clock, settings_of(server)):
            while len(server.asked) < 3:
                clock.advance(LOOK_EVERY_S)
                await asyncio.sleep(0)
        assert {one.body.get("model") for one in server.asked} == {None}
    (warned,) = [one for one in logs if one["log_level"] == "warning"]
    assert "api_key_env" in warned["reason"]


async def test_a_model_that_was_named_and_gives_no_answer_is_looked_for_at_the_server() -> None:
    clock = ShortWaits()
    with capture_logs() as logs:
        async with scripted(chosen=server_of({"m": GOOD})) as server:
            async with looking(clock, settings_of(server, models={"ours": "gone"})):
                await until(lambda: any_warning(logs))
            assert {one.body.get("model") for one in server.asked} == {None, "gone"}
    (warned,) = [one for one in logs if one["log_level"] == "warning"]
    assert (warned["model"], warned["remedy"]) == (
        "gone",
        "see to it that the server has it under this name, and can load it",
    )


async def test_what_a_job_wants_of_a_configured_server_does_not_hide_the_rest() -> None:
    clock = ShortWaits()
    async with scripted(says(401)) as server, looking(clock, settings_of(server)) as endpoints:
        await endpoints.reopen([pin_of(server, "b")])
        server.chosen = server_of({"a": GOOD, "b": GOOD})
        clock.advance(LOOK_EVERY_S)
        await until(lambda: found(endpoints) == {"a", "b"})


async def test_weights_that_were_swapped_under_a_running_server_are_noticed_before_they_are_given_more_work() -> None:
    clock = ShortWaits()
    models = {"m": GOOD}
    async with scripted(chosen=server_of(models)) as server:
        endpoints = Endpoints((), environment={}, clock=clock, chance=random.Random(1))
        model = await endpoints.open(server.url)
        models["m"] = says(200, completion("other"))
        engine = await endpoints.serve(model)
        clock.advance(KNOWN_S + 1)
        in_use = await asyncio.gather(*(endpoints.confirm(engine) for _ in range(4)), return_exceptions=True)
        assert [type(error) for error in in_use] == [EndpointGone] * 4
        assert server.asked[-1].line.startswith("POST")
        with pytest.raises(EndpointGone, match="another model"):
            await endpoints.serve(model)
        assert endpoints.models == (model,)
        other = await endpoints.open(server.url)
        assert endpoints.models == (other,) != (model,)


@pytest.mark.parametrize("strange", ["", "x" * 300, "a\nb", "\ud800", 7, None])
async def test_a_name_that_nobody_could_be_told_is_no_model(strange: object) -> None:
    listing = says(200, {"data": [{"id": strange}, {"id": "m"}]})
    async with scripted(chosen=lambda asked: GOOD if asked.body else listing) as server:
        endpoints = Endpoints((), environment={}, clock=ShortWaits(), chance=random.Random(1))
        assert (await endpoints.open(server.url)).remote == "m"


async def test_a_model_that_only_reasons_in_its_first_words_is_known_by_how_it_does() -> None:
    met: list[ModelId] = []
    for thought in ("one", "two", "one"):
        message = {"content": "", "reasoning": f"{thought} \ud800"}
        said = says(200, {"choices": [{"message": message, "finish_reason": "length"}]})
        async with scripted(chosen=server_of({"m": said}, owned_by=["\udfff"])) as server:
            endpoints = Endpoints((), environment={}, clock=ShortWaits(), chance=random.Random(1))
            met.append((await endpoints.open(server.url)).model)
    assert met[0] == met[2] != met[1]


def pin_of(server: ScriptedServer, remote: str) -> ModelPin:
    return ModelPin(
        name="m",
        model=ModelId("a" * 64),
        params_b=0.0,
        bits=16,
        weight_bytes=0,
        templates="standard",
        remote=remote,
        endpoint=server.url,
    )


async def opened(chosen: Callable[[Asked], Speak]) -> Abilities:
    """What a server's model takes, as far as it was found out."""
    async with scripted(chosen=chosen) as server:
        endpoints = Endpoints((), environment={}, clock=ShortWaits(), chance=random.Random(1))
        model = await endpoints.open(server.url)
        return (await endpoints.serve(model)).abilities


@pytest.mark.parametrize("fault", [NO_CHAT, says(404), says(500), says(200, {"choices": []}), raw(b"")])
async def test_what_a_server_has_no_answer_to_is_not_sent_to_it(fault: Speak) -> None:
    assert await opened(lambda asked: fault if "reasoning_effort" in asked.body else GOOD) == Abilities(
        template_arguments=True, seeds=True, schemas=True
    )


@pytest.mark.parametrize("status", [429, 500, 502])
async def test_a_server_that_has_no_time_or_fails_is_not_taken_for_one_that_can_do_less(status: int) -> None:
    is_down = False

    def chosen(asked: Asked) -> Speak:
        nonlocal is_down
        is_down = is_down or "reasoning_effort" in asked.body
        return says(status) if is_down else GOOD

    with pytest.raises(NothingFits, match=str(status)):
        await opened(chosen)
