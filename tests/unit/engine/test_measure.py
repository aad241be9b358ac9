"""Measurements: a slowed engine measures as slow, and the peak is a batch that tasks can have."""

from __future__ import annotations

from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.measure import Bench, measure_model


class Time:
    """A clock that work and rest move."""

    now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    def passes(self, seconds: float) -> None:
        self.now_s += seconds


def test_rest_counts_as_time_taken() -> None:
    time = Time()
    duty = Duty(0.25, clock=time.clock, sleep=time.passes)
    bench = Bench(duty, lambda: None, budget_s=10.0, clock=time.clock)
    assert bench.step(lambda: time.passes(1.0)) == 4.0
    assert bench.left_s() == 6.0


def test_batches_double_up_to_what_tasks_can_have(loaded: Loaded) -> None:
    steps: list[int] = []
    speeds = measure_model(loaded, Duty(), lambda: steps.append(1), budget_s=1.5, max_batch_size=4)
    sizes = [point.batch_size for point in speeds.points]
    assert sizes == [1, 2, 4][: len(sizes)]
    assert speeds.peak_batch_size in sizes
    assert steps


def test_a_budget_that_is_over_ends_after_one_batch_size(loaded: Loaded) -> None:
    speeds = measure_model(loaded, Duty(), lambda: None, budget_s=0.0, max_batch_size=64)
    assert [point.batch_size for point in speeds.points] == [1]
