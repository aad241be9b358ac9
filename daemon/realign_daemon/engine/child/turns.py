"""Turn: the time during which the engine serves tasks of one adapter. Decides who may go next; touches no device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A task that waits. Arrivals are counted upwards; exclusive tasks (training, benchmarks) run alone."""

    arrival: int
    task_id: int
    adapter: str = ""
    exclusive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One adapter's turn. Tasks that had arrived by `opened_at` may overtake others, so mixed arrivals batch."""

    adapter: str
    opened_at: int


def open_turn(waiting: Sequence[Waiting]) -> Turn:
    """The turn of the oldest of at least one waiting task, by arrival."""
    return Turn(adapter=waiting[0].adapter, opened_at=waiting[-1].arrival)


def admitted(waiting: Sequence[Waiting], turn: Turn) -> tuple[Waiting, ...]:
    """The tasks, in order of arrival, that may join the turn now.

    A later arrival joins only while nobody of another turn waits before it: so a turn ends, and nobody starves.
    """
    joining: list[Waiting] = []
    somebody_else_waits = False
    for task in waiting:
        if task.exclusive or task.adapter != turn.adapter:
            somebody_else_waits = True
        elif not somebody_else_waits or task.arrival <= turn.opened_at:
            joining.append(task)
    return tuple(joining)
