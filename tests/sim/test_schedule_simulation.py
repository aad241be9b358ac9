"""A discrete-event simulation of the schedule: what its decisions come to over a whole job. Seeded, without a clock."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field
from typing import assert_never

import pytest

from realign_planner.schedule import Assign, Decision, NodeLoad, Revoke, Snapshot, Wait, decide

UNIT_SPREAD = 0.6  # coefficient of variation of a unit's work, lognormal
ESTIMATE_ERROR = 0.15  # of the speed that is believed at the start
KNEE_FRACTION = 0.2


@dataclass(slots=True)
class Worker:
    """A node that decodes up to `slots` units together: the more of them, the faster in all, the slower each.

    Throughput of k units is speed * k / (k + knee), scaled to reach `speed` at `slots`: with a knee of a fifth of the
    slots a full batch of 32 is six times as fast as a batch of one, as others report of one Mac.
    """

    name: str
    speed: float
    slots: int
    believed: float
    queue: list[float] = field(default_factory=list[float])
    running: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])  # service at its end, work
    service: float = 0.0  # work that each unit in the batch has got since the start
    done: int = 0
    done_work: float = 0.0

    @property
    def in_flight(self) -> int:
        return len(self.queue) + len(self.running)

    def rate(self, batch: int) -> float:
        """Work a second that each of `batch` units gets."""
        knee = self.slots * KNEE_FRACTION
        return self.speed * (self.slots + knee) / self.slots / (batch + knee)

    def next_end_s(self) -> float:
        if not self.running:
            return math.inf
        return (self.running[0][0] - self.service) / self.rate(len(self.running))

    def advance(self, seconds: float) -> None:
        if self.running:
            self.service += seconds * self.rate(len(self.running))

    def start(self) -> None:
        while self.queue and len(self.running) < self.slots:
            work = self.queue.pop(0)
            heapq.heappush(self.running, (self.service + work, work))

    def finish(self, now: float) -> None:
        _, work = heapq.heappop(self.running)
        self.done += 1
        self.done_work += work
        self.believed += 0.1 * (self.done_work / now - self.believed)


@dataclass(frozen=True, slots=True)
class Outcome:
    makespan_s: float
    bound_s: float
    done: dict[str, int]
    work: dict[str, float]


def lower_bound(works: list[float], workers: list[Worker]) -> float:
    """No schedule ends before all work at full speed, nor before the largest unit alone on the fastest node."""
    fastest_alone = max(worker.rate(1) for worker in workers)
    return max(sum(works) / sum(worker.speed for worker in workers), max(works) / fastest_alone)


def simulate(
    seed: int, *, speeds: tuple[float, ...], slots: tuple[int, ...], units: int, stop_s: float = math.inf
) -> Outcome:
    """Runs a job to its end. After `stop_s` seconds the first worker takes nothing new."""
    chance = random.Random(seed)
    sigma = math.sqrt(math.log(1 + UNIT_SPREAD**2))
    works = [chance.lognormvariate(-sigma * sigma / 2, sigma) for _ in range(units)]
    workers = [
        Worker(name=f"n{index}", speed=speed, slots=size, believed=speed * (1 + chance.uniform(-1, 1) * ESTIMATE_ERROR))
        for index, (speed, size) in enumerate(zip(speeds, slots, strict=True))
    ]
    bound = lower_bound(works, workers)
    pending = works.copy()
    now = 0.0
    while pending or any(worker.in_flight for worker in workers):
        while _apply(decide(_snapshot(workers, pending, stopped=now >= stop_s)), workers, pending):
            pass
        for worker in workers:
            worker.start()
        ends = [worker.next_end_s() for worker in workers]
        step = min(ends)
        assert step < math.inf, "units are left and nobody works on them"
        now += step
        for worker in workers:
            worker.advance(step)
        workers[ends.index(step)].finish(now)
    return Outcome(
        makespan_s=now,
        bound_s=bound,
        done={worker.name: worker.done for worker in workers},
        work={worker.name: worker.done_work for worker in workers},
    )


def _snapshot(workers: list[Worker], pending: list[float], *, stopped: bool) -> Snapshot:
    loads = tuple(
        NodeLoad(
            node_id=worker.name,
            examples_per_s=worker.believed,
            slots=worker.slots,
            in_flight=worker.in_flight,
            unstarted=len(worker.queue),
            accepting=index > 0 or not stopped,
        )
        for index, worker in enumerate(workers)
    )
    return Snapshot(pending=len(pending), nodes=loads)


def _apply(decisions: tuple[Decision, ...], workers: list[Worker], pending: list[float]) -> bool:
    """Carries the decisions out at once; False when they are to wait."""
    by_name = {worker.name: worker for worker in workers}
    moved = False
    for decision in decisions:
        match decision:
            case Assign(node_id=name, count=count):
                by_name[name].queue.extend(pending.pop() for _ in range(count))
                moved = True
            case Revoke(node_id=name, count=count):
                pending.extend(by_name[name].queue.pop() for _ in range(count))
                moved = True
            case Wait():
                pass
            case _:
                assert_never(decision)
    return moved


@pytest.mark.parametrize("slots", [(1, 1), (4, 4), (4, 32), (32, 32)])
@pytest.mark.parametrize("ratio", [1.6, 3.0])
def test_two_nodes_end_within_a_tenth_of_the_lower_bound_in_nineteen_of_twenty_jobs(
    ratio: float, slots: tuple[int, int]
) -> None:
    outcomes = [simulate(seed, speeds=(1.0, ratio), slots=slots, units=600) for seed in range(20)]
    stretches = sorted(outcome.makespan_s / outcome.bound_s for outcome in outcomes)
    assert stretches[18] <= 1.10


@pytest.mark.parametrize("ratio", [1.6, 3.0])
def test_shares_of_the_work_end_within_a_tenth_of_the_ratio_of_speeds(ratio: float) -> None:
    for seed in range(20):
        outcome = simulate(seed, speeds=(1.0, ratio), slots=(4, 4), units=600)
        assert outcome.work["n1"] / outcome.work["n0"] == pytest.approx(ratio, rel=0.10)


def test_four_unequal_nodes_end_within_a_tenth_of_the_lower_bound_in_nineteen_of_twenty_jobs() -> None:
    outcomes = [simulate(seed, speeds=(1.0, 1.0, 1.6, 2.2), slots=(4, 4, 8, 8), units=600) for seed in range(20)]
    stretches = sorted(outcome.makespan_s / outcome.bound_s for outcome in outcomes)
    assert stretches[18] <= 1.10


def test_a_node_that_stops_accepting_ends_what_it_has_started_and_the_others_do_the_rest() -> None:
    outcome = simulate(3, speeds=(3.0, 1.0), slots=(2, 2), units=100, stop_s=10.0)
    assert sum(outcome.done.values()) == 100
    assert 25 <= outcome.done["n0"] <= 40  # ten seconds at three units a second, and the two in its batch
