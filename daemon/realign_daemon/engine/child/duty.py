"""Duty: the share of time that the engine may compute."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager


class Duty:
    """Rests after every step, so that work takes `fraction` of the time. Benchmarks rest, too: they measure truly."""

    def __init__(
        self,
        fraction: float = 1.0,
        *,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`fraction` in (0, 1]. Raises ValueError outside."""
        if not 0 < fraction <= 1:
            message = f"duty_fraction is {fraction}: give more than 0 and at most 1"
            raise ValueError(message)
        self._rest_per_work = 1 / fraction - 1
        self._clock = clock
        self._sleep = sleep

    @contextmanager
    def step(self) -> Generator[None]:
        """One engine step of duration d, followed by a rest of d * (1 / fraction - 1)."""
        started = self._clock()
        yield
        if self._rest_per_work > 0:
            self._sleep((self._clock() - started) * self._rest_per_work)
