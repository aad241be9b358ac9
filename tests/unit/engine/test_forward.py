"""A long text goes through in passes, each of which is heard of, and gives what it would give in one."""

from __future__ import annotations

from dataclasses import replace

import mlx.core as mx
import pytest

from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.forward import Rows, full_pass_s
from realign_daemon.engine.child.load import FullPrecisionLogits, Loaded

PROMPT = [7 * place % 90 for place in range(61)]
COMPLETION = [5 * place % 90 for place in range(25)]
ROUNDING = 1e-4


@pytest.mark.parametrize(("rows", "passes"), [(1, 6 + 3), (2, 13 + 7)])
def test_each_pass_is_heard_of_and_no_figure_depends_on_their_number(loaded: Loaded, rows: int, passes: int) -> None:
    heard: list[None] = []
    model = FullPrecisionLogits(loaded.network, pass_tokens=10, on_pass=lambda: heard.append(None))
    prompts, completions = [PROMPT] * rows, [COMPLETION] * rows
    expected = Rows(loaded.model, rows).final_logits(prompts, completions)
    found = Rows(model, rows).final_logits(prompts, completions)
    assert bool(mx.allclose(found[:, : len(COMPLETION)], expected[:, : len(COMPLETION)], atol=ROUNDING).item())
    assert len(heard) == passes


@pytest.mark.parametrize("tokens", [20, 10**6])
def test_what_the_longest_pass_takes_is_that_of_one_as_long_as_the_model_reads(loaded: Loaded, tokens: int) -> None:
    heard: list[None] = []
    model = FullPrecisionLogits(loaded.network, pass_tokens=tokens, on_pass=lambda: heard.append(None))
    assert full_pass_s(replace(loaded, model=model), Duty()) > 0.0
    assert len(heard) == 2, "the first one has other things to do, too"
