"""Tray: which of a node's units may start beside those that run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine.api import Generate, Message, ModelId, Sampler
from realign_daemon.work.tray import Item, Session, Tray
from realign_daemon.work.units import make_unit

SLOTS = 8
sizes = st.integers(0, 10)
moves = st.tuples(st.sampled_from(["put", "plan", "end"]), st.integers(0, 2), sizes)


def item(session: Session, number: int) -> Item:
    task = Generate(
        model=ModelId("m"),
        messages=(Message(role="user", content="?"),),
        sampler=Sampler(),
        seed=number,
        template="t",
    )
    return Item(session=session, unit=make_unit(task), model="m", home="h")


def start_all(tray: Tray) -> list[int]:
    """How many ran together after each start, less what the most careful of their homes plans; never above 0."""
    excess: list[int] = []
    while (one := tray.first(slots=SLOTS, model="m")) is not None:
        tray.waiting.popleft()
        tray.running[one.unit.key] = one
        planned = (other.session.batch_size or SLOTS for other in tray.running.values())
        excess.append(len(tray.running) - min(SLOTS, *planned))
    return excess


@given(st.lists(moves, max_size=60))
def test_what_starts_never_runs_beside_more_than_any_of_their_homes_plans(moved: list[tuple[str, int, int]]) -> None:
    tray, sessions = Tray(), [Session(emit=lambda _: None) for _ in range(3)]
    for number, (move, home, size) in enumerate(moved):
        match move:
            case "put":
                tray.put(item(sessions[home], number))
            case "plan":
                sessions[home].batch_size = size
            case _:
                for key in list(tray.running)[:size]:
                    del tray.running[key]
        assert all(excess <= 0 for excess in start_all(tray))


@given(st.lists(sizes, min_size=1, max_size=12))
def test_whatever_homes_plan_every_unit_comes_to_run(planned: list[int]) -> None:
    tray = Tray()
    for number, batch_size in enumerate(planned):
        tray.put(item(Session(emit=lambda _: None, batch_size=batch_size), number))
    for _ in planned:
        start_all(tray)
        assert tray.running
        tray.running.pop(next(iter(tray.running)))
    assert not tray.waiting
    assert not tray.running
