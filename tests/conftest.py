"""Shared by all tests: nothing reaches beyond loopback, none sees the user's own daemon, and none waits for ever."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

DEADLINE_S = 300.0  # the slowest take 60 s with both cores of a small machine busy
LONG_DEADLINE_S = 3600.0


def pytest_configure(config: pytest.Config) -> None:
    """A test with a `deadline` of its own is known to be quicker, or slower."""
    config.addinivalue_line("markers", "deadline(seconds): the test fails after so long")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Every coroutine is cancelled, and fails where it waits. A timeout around a fixture's `yield` ends the fixture."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = _ended_after(item.obj, _deadline_s(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """So is every fixture, while it is made and while it is taken down."""
    fixture, seconds = fixturedef.func, _deadline_s(request.node)
    if inspect.iscoroutinefunction(fixture):
        vars(fixturedef)["func"] = _ended_after(fixture, seconds)
    elif inspect.isasyncgenfunction(fixture):
        vars(fixturedef)["func"] = _each_half_ended_after(fixture, seconds)
    try:
        return (yield)
    finally:
        vars(fixturedef)["func"] = fixture


def _deadline_s(node: pytest.Item) -> float:
    marker = node.get_closest_marker("deadline")
    usual_s = LONG_DEADLINE_S if node.get_closest_marker("long") else DEADLINE_S
    return float(marker.args[0]) if marker else usual_s


def _ended_after(test: Callable[..., Awaitable[object]], seconds: float) -> Callable[..., Awaitable[object]]:
    @functools.wraps(test)
    async def ended(*args: object, **kwargs: object) -> object:
        async with _deadline(seconds):
            return await test(*args, **kwargs)

    return ended


def _each_half_ended_after(
    fixture: Callable[..., AsyncIterator[object]], seconds: float
) -> Callable[..., AsyncIterator[object]]:
    @functools.wraps(fixture)
    async def ended(*args: object, **kwargs: object) -> AsyncGenerator[object]:
        halves = fixture(*args, **kwargs)
        async with _deadline(seconds):
            made = await anext(halves)
        yield made
        async with _deadline(seconds):
            await anext(halves, None)

    return ended


@asynccontextmanager
async def _deadline(seconds: float) -> AsyncGenerator[None]:
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            yield
    except TimeoutError as error:
        if deadline.expired():
            raise AssertionError(f"not done after {seconds:g} s; see above where it waited") from error
        raise


@pytest.fixture(autouse=True)
def no_user_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A test sees no REALIGN_* variable and no data directory of the person who runs it, and never asks a model hub."""
    for name in list(os.environ):
        if name.startswith("REALIGN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REALIGN_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("REALIGN_CLIENT_DIR", str(tmp_path / "client"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
