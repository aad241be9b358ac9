"""A real mlx_lm.server with the pocket model as an engine, beside the engine of this machine with the same weights."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.mlx_server import mlx_server

from realign_daemon.clock import SystemClock
from realign_daemon.endpoints.endpoints import Endpoints
from realign_daemon.endpoints.routing_engine import RoutingEngine
from realign_daemon.engine.api import Fill, Filled, Generate, Generated, LocalModel, Message, ModelId, Sampler, Slot
from realign_daemon.engine.models import LocalModels
from realign_daemon.engine.supervisor import EngineSupervisor
from realign_daemon.work.blobs import BlobStore


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlx_server(tmp_path_factory.mktemp("server")) as where:
        yield where


@pytest.fixture
def endpoints() -> Endpoints:
    return Endpoints((), environment={}, clock=SystemClock(), chance=random.Random(1))


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[EngineSupervisor]:
    engine = EngineSupervisor(BlobStore(tmp_path / "blobs"), tmp_path / "cache", free_bytes=lambda: 4 * 2**30)
    yield engine
    await engine.close()


def pocket(tmp_path: Path) -> LocalModel:
    model = LocalModels((), tmp_path / "models.json").find("pocket")
    assert model is not None
    return model


def judgement(model: ModelId, text: str) -> Fill:
    choices = ("A", "B", "T") if text.startswith("C") else ("1", "2", "3", "4", "5")
    messages = (Message(role="user", content=text),)
    return Fill(model=model, messages=messages, form=(Slot(before="", choices=choices),), template="t")


async def test_the_same_weights_say_and_judge_the_same_there_as_here(
    url: str, endpoints: Endpoints, own: EngineSupervisor, tmp_path: Path
) -> None:
    engine = RoutingEngine(own, endpoints, SystemClock())
    there, here = await endpoints.open(url, templates="pocket"), pocket(tmp_path)
    assert (there.remote, there.weight_bytes, there.endpoint) == ("default_model", 0, url)
    await engine.load(there)
    greedy = Sampler(temperature=0.0, max_tokens=12)
    questions = [(Message(role="user", content=text),) for text in ("12+34=", "7+5=", "81+19=")]
    asked = [Generate(model=there.model, messages=one, sampler=greedy, seed=1, template="t") for one in questions]
    judged = [judgement(there.model, text) for text in ("G12+34=46", "G7+5=31", "C12+34=46|64")]
    answers_there = [await engine.perform(task) for task in (*asked, *judged)]

    await engine.load(here)
    answers_here = [await engine.perform(replace(task, model=here.model)) for task in (*asked, *judged)]

    for far, near in zip(answers_there, answers_here, strict=True):
        if isinstance(far, Generated) and isinstance(near, Generated):
            assert (far.text, far.finish_reason) == (near.text, near.finish_reason)
        else:
            assert isinstance(far, Filled)
            assert isinstance(near, Filled)
            assert far.samples == 0
            assert far.probabilities[0] == pytest.approx(near.probabilities[0], abs=0.02)
            assert far.mass == pytest.approx(near.mass, abs=0.02)


async def test_a_seed_gives_the_same_sample_again(url: str, endpoints: Endpoints) -> None:
    model = await endpoints.open(url)
    engine = endpoints.engine(model.model)
    assert engine is not None
    question = (Message(role="user", content="12+34="),)
    hot = Sampler(temperature=3.0, max_tokens=12)
    tasks = [Generate(model=model.model, messages=question, sampler=hot, seed=seed, template="t") for seed in (1, 1, 2)]
    first, again, other = [await engine.perform(task) for task in tasks]
    assert isinstance(first, Generated)
    assert isinstance(again, Generated)
    assert isinstance(other, Generated)
    assert first.text == again.text
    assert first.text != other.text


async def test_its_speed_is_measured_over_requests_in_flight(
    url: str, endpoints: Endpoints, own: EngineSupervisor
) -> None:
    model = await endpoints.open(url)
    engine = RoutingEngine(own, endpoints, SystemClock())
    found = await engine.benchmark_model(model, budget_s=3.0)
    assert [point.batch_size for point in found.points] == [1, 2, 4, 8][: len(found.points)]
    assert found.examples_per_s == max(point.examples_per_s for point in found.points) > 0


async def test_the_same_server_is_the_same_model_whenever_it_is_met(url: str) -> None:
    seen = [
        await Endpoints((), environment={}, clock=SystemClock(), chance=random.Random(seed)).open(url)
        for seed in (1, 2)
    ]
    assert seen[0] == seen[1]
