"""Speed: what a server gives at so many requests in flight, measured by asking it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from realign_daemon.clock import Clock
from realign_daemon.endpoints.acquaintance import CHAT
from realign_daemon.endpoints.chat import NoReply, Reply, body_of, read_reply
from realign_daemon.endpoints.endpoint_engine import EndpointEngine
from realign_daemon.endpoints.server import Gone, Refused
from realign_daemon.engine.api import BatchPoint, Message, ModelBenchmark
from realign_daemon.engine.errors import EndpointGone

NEW_TOKENS: Final = 32  # an example is a short question and a short answer, as it is of the engine of this machine
_ENOUGH_GAIN: Final = 1.05  # a doubled number that gives less than 5 % more is past the peak
_ROUNDS: Final = 2  # requests of a level for each that is in flight: the ends of a round overlap


async def measure(engine: EndpointEngine, clock: Clock, *, budget_s: float) -> ModelBenchmark:
    """Examples a second at 1, 2, 4 … requests in flight, up to what the endpoint may have, within the budget.

    Raises:
        EndpointGone: the server gives no answers, or refuses these.
    """
    try:
        return await _measured(engine, clock, budget_s=budget_s)
    except (Gone, Refused, NoReply) as error:
        url = str(engine.server.settings.url)
        raise EndpointGone(model=engine.name, endpoint=url, cause=str(error)) from error


async def _measured(engine: EndpointEngine, clock: Clock, *, budget_s: float) -> ModelBenchmark:
    began_s = clock.continuous()
    first = read_reply(await engine.server.ask(CHAT, _body(engine, 0, max_tokens=1)))
    first_s = max(clock.continuous() - began_s, 1e-6)
    most = engine.server.settings.concurrency
    points: list[BatchPoint] = []
    level, best = 1, 0.0
    while True:
        point, took_s = await _level(engine, clock, level, first=_ROUNDS * 2 * level)
        points.append(point)
        gained = point.examples_per_s >= best * _ENOUGH_GAIN
        best = max(best, point.examples_per_s)
        left_s = budget_s - (clock.continuous() - began_s)
        if level == most or not gained or left_s < 2 * took_s:
            break
        level = min(most, 2 * level)
    peak = max(points, key=lambda one: one.examples_per_s)
    return ModelBenchmark(
        prefill_tps=round(first.prompt_tokens / first_s, 2),
        decode_tps=peak.decode_tps,
        peak_batch_size=peak.batch_size,
        examples_per_s=peak.examples_per_s,
        points=tuple(points),
        noisy=points[-1].batch_size < most and points[-1] is peak,  # the budget ended before the peak was seen
    )


async def _level(engine: EndpointEngine, clock: Clock, level: int, *, first: int) -> tuple[BatchPoint, float]:
    """One level, and the seconds that it took; `first` numbers its requests, so that none was asked before."""
    numbers = iter(range(first, first + _ROUNDS * level))

    async def keep_asking() -> list[Reply]:
        return [read_reply(await engine.server.ask(CHAT, _body(engine, number))) for number in numbers]

    began_s = clock.continuous()
    replies = [reply for one in await asyncio.gather(*(keep_asking() for _ in range(level))) for reply in one]
    took_s = max(clock.continuous() - began_s, 1e-6)
    tokens = sum(reply.completion_tokens for reply in replies)
    point = BatchPoint(
        batch_size=level,
        decode_tps=round(tokens / took_s, 2),
        examples_per_s=round(len(replies) / took_s, 4),
    )
    return point, took_s


def _body(engine: EndpointEngine, number: int, *, max_tokens: int = NEW_TOKENS) -> Mapping[str, object]:
    question = f"{number}. What makes the sea salty, and the rivers that run into it not? Say it in a few sentences."
    messages = (Message(role="user", content=question),)
    return body_of(engine.remote, messages, engine.abilities, temperature=1.0, max_tokens=max_tokens, seed=number)
