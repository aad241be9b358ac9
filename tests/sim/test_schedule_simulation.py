"""A discrete-event simulation of the schedule: what its decisions come to over a whole job. Seeded; no clock, no sockets."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field

import pytest

from realign_planner.schedule import Assign, NodeLoad, Revoke, Snapshot, Wait, decide

UNIT_SPREAD = 0.6  # coefficient of variation of a unit's work, lognormal
ESTIMATE_ERROR = 0.15


@dataclass(slots=True)
class Worker:
    """A node with `slots` lanes that together do `speed` units of work a second."""

    name: str
    speed: float
    slots: int
    believed: float
    queue: list[float] = field(default_factory=list[float])
    running: int = 0
    done: int = 0
    done_work: float = 0.0

    @property
    def in_flight(self) -> int:
        return len(self.queue) + self.running


@dataclass(frozen=True, slots=True)
class Outcome:
    makespan_s: float
    bound_s: float
    done: dict[str, int]
    work: dict[str, float]


def lower_bound(works: list[float], workers: list[Worker]) -> float:
    """The optimum with preemption on uniform machines, lanes counted one by one."""
    lanes = sorted((worker.speed / worker.slots for worker in workers for _ in range(worker.slots)), reverse=True)
    largest = sorted(works, reverse=True)
    bound = sum(works) / sum(lanes)
    for count in range(1, min(len(largest), len(lanes)) + 1):
        bound = max(bound, sum(largest[:count]) / sum(lanes[:count]))
    return bound


def simulate(
    seed: int, *, speeds: tuple[float, ...], slots: int, units: int, stop_accepting: float = math.inf
) -> Outcome:
    """Runs a job to its end. After `stop_accepting` seconds the first worker takes nothing new."""
    chance = random.Random(seed)
    sigma = math.sqrt(math.log(1 + UNIT_SPREAD**2))
    works = [chance.lognormvariate(-sigma * sigma / 2, sigma) for _ in range(units)]
    workers = [
        Worker(
            name=f"n{index}", speed=speed, slots=slots, believed=speed * (1 + chance.uniform(-1, 1) * ESTIMATE_ERROR)
        )
        for index, speed in enumerate(speeds)
    ]
    bound = lower_bound(works, workers)
    pending = works.copy()
    ends: list[tuple[float, int, int, float]] = []
    now = 0.0
    serial = 0
    while pending or any(worker.in_flight for worker in workers):
        changed = True
        while changed:  # until the schedule has nothing more to do at this moment
            changed = False
            loads = tuple(
                NodeLoad(
                    node_id=worker.name,
                    examples_per_s=worker.believed,
                    slots=worker.slots,
                    in_flight=worker.in_flight,
                    unstarted=len(worker.queue),
                    accepting=index > 0 or now < stop_accepting,
                )
                for index, worker in enumerate(workers)
            )
            by_name = {worker.name: worker for worker in workers}
            for decision in decide(Snapshot(pending=len(pending), nodes=loads)):
                match decision:
                    case Assign(node_id=name, count=count):
                        by_name[name].queue.extend(pending.pop() for _ in range(count))
                        changed = True
                    case Revoke(node_id=name, count=count):
                        pending.extend(by_name[name].queue.pop() for _ in range(count))
                        changed = True
                    case Wait():
                        pass
            for index, worker in enumerate(workers):
                while worker.queue and worker.running < worker.slots:
                    work = worker.queue.pop(0)
                    worker.running += 1
                    serial += 1
                    heapq.heappush(ends, (now + work * worker.slots / worker.speed, serial, index, work))
        assert ends, "units are left and nobody works on them"
        now, _, index, work = heapq.heappop(ends)
        worker = workers[index]
        worker.running -= 1
        worker.done += 1
        worker.done_work += work
        measured = worker.done_work / max(now, 1e-9)
        worker.believed += 0.2 * (measured - worker.believed)
    return Outcome(
        makespan_s=now,
        bound_s=bound,
        done={worker.name: worker.done for worker in workers},
        work={worker.name: worker.done_work for worker in workers},
    )


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("ratio", [1.6, 3.0])
def test_two_nodes_end_within_a_tenth_of_the_lower_bound_in_nineteen_of_twenty_runs(ratio: float, slots: int) -> None:
    outcomes = [simulate(seed, speeds=(1.0, ratio), slots=slots, units=200) for seed in range(60)]
    stretches = sorted(outcome.makespan_s / outcome.bound_s for outcome in outcomes)
    assert stretches[int(0.95 * len(stretches))] <= 1.10


@pytest.mark.parametrize("ratio", [1.6, 3.0])
def test_shares_of_the_work_end_within_a_tenth_of_the_ratio_of_speeds(ratio: float) -> None:
    for seed in range(20):
        outcome = simulate(seed, speeds=(1.0, ratio), slots=4, units=600)
        assert outcome.work["n1"] / outcome.work["n0"] == pytest.approx(ratio, rel=0.10)


def test_eight_unequal_nodes_end_within_a_quarter_of_the_lower_bound() -> None:
    speeds = (0.25, 1.0, 1.0, 1.0, 1.6, 1.6, 2.2, 2.2)
    outcomes = [simulate(seed, speeds=speeds, slots=2, units=400) for seed in range(20)]
    stretches = sorted(outcome.makespan_s / outcome.bound_s for outcome in outcomes)
    assert stretches[int(0.95 * len(stretches))] <= 1.25


def test_a_node_that_stops_accepting_keeps_only_what_it_has_started() -> None:
    outcome = simulate(3, speeds=(3.0, 1.0), slots=2, units=100, stop_accepting=10.0)
    assert sum(outcome.done.values()) == 100
    assert outcome.done["n0"] < 60
