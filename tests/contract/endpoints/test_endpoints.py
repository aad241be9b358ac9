"""Which model a server has, and when it counts as gone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.contract.endpoints.scripted_server import Asked, ScriptedServer, Speak, completion, says, scripted

from realign_daemon.clock import SystemClock
from realign_daemon.curation.intake import Request
from realign_daemon.curation.spec import ModelPin
from realign_daemon.endpoints.asking import Asking
from realign_daemon.endpoints.endpoints import Endpoints
from realign_daemon.endpoints.settings import EndpointSettings
from realign_daemon.endpoints.url import read_url
from realign_daemon.engine.api import Generate, LocalModel, Message, ModelId, Sampler
from realign_daemon.engine.errors import EndpointGone
from realign_daemon.errors import BadInput, NotAllowed, NothingFits
from realign_daemon.trust.roles import Role

KEY = "sk-sesame"


class Quick(SystemClock):
    """Waits are not waited."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def endpoints_of(*configured: EndpointSettings, key: str = KEY) -> Endpoints:
    return Endpoints(configured, environment={"FAR_KEY": key}, clock=Quick(), chance=random.Random(1))


def model_list(*names: str) -> Callable[[Any], Awaitable[None]]:
    return says(200, {"data": [{"id": name, "owned_by": "me", "created": random.random()} for name in names]})


async def test_other_answers_are_another_model_though_the_name_is_the_same() -> None:
    met: list[LocalModel] = []
    for text in ("one", "one", "other"):
        async with scripted(model_list("m"), says(200, completion(text))) as server:
            met.append(await endpoints_of().open(server.url))
    one, again, other = met
    assert one.model == again.model != other.model
    assert one.endpoint != again.endpoint
    assert one.name.startswith("m@127.0.0.1:")


async def test_a_server_with_several_models_is_asked_for_none_before_one_is_named() -> None:
    async with scripted(model_list("a", "b"), says(200, completion("x"))) as server:
        with pytest.raises(BadInput, match="--engine-model"):
            await endpoints_of().open(server.url)
        assert len(server.asked) == 1
        assert (await endpoints_of().open(server.url, "b")).remote == "b"


async def test_a_server_that_is_not_there_is_said_so_at_once() -> None:
    async with scripted(says(200)) as server:
        pass
    with pytest.raises(NothingFits, match=server.url):
        await endpoints_of().open(server.url)


@pytest.mark.parametrize("written", [KEY, f" {KEY}\n"])
async def test_the_key_goes_to_its_own_server_only(written: str) -> None:
    async def asked_with(server: ScriptedServer) -> set[str]:
        return {one.headers.get("authorization", "") for one in server.asked}

    async with (
        scripted(model_list("m"), says(200, completion("x"))) as own,
        scripted(model_list("m"), says(200, completion("x"))) as other,
    ):
        settings = EndpointSettings(name="own", url=read_url(own.url), api_key_env="FAR_KEY")
        endpoints = endpoints_of(settings, key=written)
        await endpoints.open(own.url)
        await endpoints.open(other.url)
        assert await asked_with(own) == {f"bearer {KEY}"}
        assert await asked_with(other) == {""}
    assert KEY not in repr(endpoints.models)


async def test_a_server_that_is_away_when_its_job_goes_on_is_asked_until_it_is_back() -> None:
    pin = ModelPin(
        name="m", model=ModelId("a" * 64), params_b=0.0, bits=16, weight_bytes=0, templates="pocket", remote="m"
    )
    async with scripted(says(503)) as server:
        endpoints = endpoints_of()
        await endpoints.reopen([replace(pin, endpoint=server.url)])
        assert endpoints.models == ()
        server.script = [model_list("m", "other"), says(200, completion("one"))]
        looking = asyncio.create_task(endpoints.run())
        while not endpoints.models:  # noqa: ASYNC110 - it is looked at, nobody announces it
            await asyncio.sleep(0)
        looking.cancel()
        (model,) = endpoints.models
        assert (model.remote, model.templates) == ("m", "pocket")


async def test_nobody_but_admins_has_a_server_asked_that_is_not_on_the_list() -> None:
    async with scripted(model_list("m"), says(200, completion("x"))) as server:
        request = Request(text="DPO pairs", target="pocket", engine=server.url)

        def asking(role: Role, *hosts: str) -> Asking:
            return Asking(endpoints_of(), hosts=hosts, role=lambda: role, is_known=lambda _: False)

        with pytest.raises(NotAllowed, match="endpoint_hosts"):
            await asking("submit").completed(request)
        assert server.asked == []
        found = await asking("submit", "127.0.0.1").completed(request)
        assert (found.target, found.generator, found.judge) == ("pocket", *[found.offered[0].name] * 2)
        assert (await asking("admin").completed(request)).offered[0].endpoint == server.url


@pytest.mark.parametrize("role", ["submit", "admin"])
async def test_an_engine_that_is_no_url_is_refused_with_what_one_looks_like(role: Role) -> None:
    asking = Asking(endpoints_of(), hosts=(), role=lambda: role, is_known=lambda _: False)
    with pytest.raises(BadInput, match="a URL such as"):
        await asking.completed(Request(text="DPO pairs", engine="my server"))


async def test_a_server_that_went_has_to_answer_as_the_same_model_before_it_gets_work() -> None:
    async with scripted(model_list("m"), says(200, completion("one"))) as server:
        endpoints = endpoints_of()
        model = await endpoints.open(server.url)
        engine = await endpoints.serve(model)
        task = Generate(
            model=model.model,
            messages=(Message(role="user", content="?"),),
            sampler=Sampler(max_tokens=4),
            seed=1,
            template="t",
        )
        server.script = [says(500)]
        with pytest.raises(EndpointGone):
            await engine.perform(task)
        endpoints.lose(engine)
        with pytest.raises(EndpointGone):
            await endpoints.serve(model)
        server.script = [model_list("m"), says(200, completion("one"))]
        assert await (await endpoints.serve(model)).perform(task)
        endpoints.lose(engine)
        server.script = [model_list("m"), says(200, completion("other"))]
        with pytest.raises(EndpointGone, match="another model"):
            await endpoints.serve(model)
        server.script = [model_list("m"), says(200, completion("one"))]
        assert await endpoints.serve(model) is engine


async def test_a_server_that_fails_at_times_is_no_other_model_once_it_is_well() -> None:
    failing = set[str]()

    def chosen(asked: Asked) -> Speak:
        if not asked.body:
            return model_list("m")
        if failing & asked.body.keys():
            return says(500)
        return says(200, completion("brief" if "reasoning_effort" in asked.body else "long"))

    async with scripted(chosen=chosen) as server:
        endpoints = endpoints_of()
        model = await endpoints.open(server.url)
        engine = await endpoints.serve(model)
        assert engine.abilities.efforts
        failing.add("reasoning_effort")
        endpoints.lose(engine)
        with pytest.raises(EndpointGone, match="500"):
            await endpoints.serve(model)
        assert endpoints.models == (model,)
        failing.clear()
        assert await endpoints.serve(model) is engine
        assert await endpoints.open(server.url) == model
