"""Duty: a slowed engine works its share of the time."""

from __future__ import annotations

import pytest

from realign_daemon.engine.child.duty import Duty


@pytest.mark.parametrize(("fraction", "rest_s"), [(1.0, 0.0), (0.5, 2.0), (0.25, 6.0)])
def test_a_step_is_followed_by_its_share_of_rest(fraction: float, rest_s: float) -> None:
    times, rests = iter([10.0, 12.0]), [0.0]
    with Duty(fraction, clock=lambda: next(times), sleep=rests.append).step():
        pass
    assert sum(rests) == pytest.approx(rest_s)


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.5])
def test_a_fraction_that_makes_no_sense_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="duty_fraction"):
        Duty(fraction)


def test_every_kind_of_step_rests(loaded: object) -> None:
    from realign_daemon.engine.api import Fill, Generate, Message, ModelId, Sampler, Score, Slot
    from realign_daemon.engine.child.batches import Batches
    from realign_daemon.engine.child.load import Loaded

    assert isinstance(loaded, Loaded)
    rests: list[float] = []
    batches = Batches(loaded, Duty(0.5, sleep=rests.append), 4)
    asked = (Message(role="user", content="hello"),)
    model = ModelId("m")
    batches.add(1, Fill(model=model, messages=asked, form=(Slot(before="", choices=("a", "b")),), template="t"))
    batches.add(2, Score(model=model, messages=asked, completion="x"))
    batches.add(3, Generate(model=model, messages=asked, sampler=Sampler(max_tokens=2), seed=1, template="t"))
    finished = dict(batches.step())
    assert sorted(finished) == [1, 2]
    assert len(rests) == 3
    assert all(rest > 0 for rest in rests)
