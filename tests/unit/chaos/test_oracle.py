"""The oracle of the chaos runs finds each kind of broken promise, and nothing where all was kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.chaos.oracle import Story, computed_again, violations
from tests.chaos.remains import Decided, Remains, Repeated

ENDED = Decided(job_id="dpo-1", instance=0, config_epoch=0, value=b"completed")
LEFT = Remains(
    node="left",
    homes={"dpo-1": "node-left"},
    uses=frozenset({("dpo-1", "a"), ("dpo-1", "b")}),
    results=frozenset({("a", "1"), ("b", "2")}),
    done=("a",),
    decided=frozenset({ENDED}),
    journal=frozenset({("result", "a/1", b"1"), ("result", "b/2", b"2")}),
    repeated=(),
)
RIGHT = replace(LEFT, node="right", done=("b",))
WELL = Story(
    acknowledged=["dpo-1"],
    earlier=[replace(LEFT, results=frozenset({("a", "1")}))],
    final=[LEFT, RIGHT],
    states={"left": {"dpo-1": "completed"}, "right": {"dpo-1": "completed"}},
    in_flight=0,
)


def test_nothing_is_said_where_every_promise_was_kept() -> None:
    assert violations(WELL) == ()


@pytest.mark.parametrize(
    ("story", "says"),
    [
        (
            replace(WELL, final=[LEFT, replace(RIGHT, homes=dict[str, str]())]),
            "right does not know dpo-1, whose submit was acknowledged",
        ),
        (
            replace(WELL, earlier=[replace(LEFT, results=frozenset({("c", "3")}))], final=[LEFT]),
            "left lacks 1 results that left had on its disk when it was killed",
        ),
        (
            replace(WELL, earlier=[replace(LEFT, decided=frozenset({replace(ENDED, value=b"failed")}))]),
            "2 values were decided of dpo-1/0 in config epoch 0",
        ),
        (
            replace(WELL, final=[LEFT, replace(RIGHT, done=("a", "b"))]),
            "1 units were computed again, and at most 0 had been in flight",
        ),
        (
            replace(WELL, final=[LEFT, replace(RIGHT, journal=LEFT.journal - {("result", "a/1", b"1")})]),
            "the journals of left and right differ in {'result': 1}",
        ),
        (replace(WELL, states={"left": {"dpo-1": "failed"}}), "left says of dpo-1: failed"),
        (replace(WELL, states={"left": dict[str, str]()}), "left says of dpo-1: unknown"),
        (
            replace(WELL, states={"left": {"dpo-1": "completed, provisional"}}),
            "left says of dpo-1: completed, provisional",
        ),
        (
            replace(WELL, final=[replace(LEFT, repeated=(Repeated(path=Path("train.jsonl"), rows=2),))]),
            "2 rows of train.jsonl stand there twice",
        ),
    ],
)
def test_a_broken_promise_gets_its_sentence(story: Story, says: str) -> None:
    (found,) = violations(story)

    assert found.startswith(says)


def test_another_value_in_a_higher_config_epoch_is_an_adoption_and_no_contradiction() -> None:
    adopted = replace(ENDED, config_epoch=1, value=b"adopted")

    assert violations(replace(WELL, earlier=[replace(LEFT, decided=frozenset({adopted}))])) == ()


def test_every_computation_after_the_first_counts() -> None:
    assert computed_again([LEFT, replace(RIGHT, done=("a", "b", "a"))]) == 2


def test_a_unit_that_jobs_of_two_homes_use_may_be_computed_by_both() -> None:
    right = replace(
        RIGHT,
        homes={"dpo-1": "node-left", "dpo-2": "node-right"},
        uses=frozenset({("dpo-2", "a")}),
        done=("a",),
    )

    assert computed_again([LEFT, right]) == 0


def test_the_new_home_of_a_job_may_compute_what_it_has_no_result_of() -> None:
    moved = replace(ENDED, value=b'{"rehome":"node-right","voters":["node-right"]}')

    assert computed_again([LEFT, replace(RIGHT, done=("a",), decided=frozenset({moved}))]) == 0
