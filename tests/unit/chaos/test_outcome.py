"""Figures of the chaos runs."""

from __future__ import annotations

import random

import pytest
from tests.chaos.outcome import beyond, quantile, spread
from tests.chaos.storm import blows


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, 1.0), (0.5, 2.0), (0.75, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_a_quantile_is_one_of_the_values_and_so_many_are_no_greater(fraction: float, expected: float) -> None:
    assert quantile([4.0, 1.0, 3.0, 2.0], fraction) == expected


def test_only_figures_above_their_target_are_late() -> None:
    figures = spread("back", [1.0, 2.0, 9.0])

    assert beyond(figures, {"back_p50_s": 2.0, "back_p99_s": 5.0, "failover_p50_s": 8.0}) == (
        "back_p99_s is 9.0, target 5.0",
    )


def test_of_nothing_measured_there_is_no_figure() -> None:
    assert spread("back", []) == {}


def test_the_same_seed_gives_the_same_storm() -> None:
    names = ("left", "right")

    assert blows(random.Random(7), names, 20) == blows(random.Random(7), names, 20)
    assert blows(random.Random(7), names, 20) != blows(random.Random(8), names, 20)
