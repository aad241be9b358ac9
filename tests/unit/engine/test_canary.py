"""What a model is heard to compute in a canary: as it scores, and as it writes."""

# pyright: reportUnknownMemberType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mlx.core as mx
import pytest
from tests import far_model

from realign_daemon.engine.api import ModelId
from realign_daemon.engine.child.canary import sing
from realign_daemon.engine.child.load import FullPrecisionLogits, Loaded, load
from realign_daemon.engine.child.score import text_of, token_logprobs
from realign_daemon.engine.errors import BadTask
from realign_daemon.groups import canary
from realign_daemon.groups.messages import Logprobs

MODEL = ModelId("m")
SCORED = len(canary.songs(MODEL, 0)) - 1


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    mx.disable_compile()  # compiling on a CPU starts a C++ compiler for every kernel
    return load(far_model.lengthen(tmp_path_factory.mktemp("models") / "far"))


@pytest.fixture(scope="module")
def sound(far: Loaded) -> Logprobs:
    return sung(far)


def sung(loaded: Loaded, length: int = far_model.LONGEST) -> Logprobs:
    return tuple(map(tuple, sing(loaded, canary.songs(MODEL, length), lambda: None)))


def test_what_is_written_step_by_step_with_others_is_what_one_pass_over_the_text_alone_finds(
    far: Loaded, sound: Logprobs
) -> None:
    texts = [text_of(song, far.vocabulary) for song in canary.songs(MODEL, far_model.LONGEST)]
    assert len(texts[-1].prompt) > far_model.POSITIONS / 2
    assert len(sound) == SCORED + len(texts)
    alone = [token_logprobs(far.own, [text])[0] for text in texts]
    for scored, whole in zip(sound, alone[:-1], strict=False):
        assert scored == pytest.approx(whole, abs=1e-3)
    for written, whole in zip(sound[SCORED:], alone, strict=True):
        assert len(written) >= min(len(whole), 4)
        assert written == pytest.approx(whole[: len(written)], abs=1e-3)


def test_prompts_are_read_between_steps_of_one_token_and_steps_have_one_row_and_several(far: Loaded) -> None:
    shapes: list[tuple[int, ...]] = []
    sung(heard(far, lambda tokens, _: shapes.append(tokens.shape)), length=0)
    steps = [shape[0] for shape in shapes if shape[1] == 1]
    together = len(canary.songs(MODEL, 0))
    assert {1, together - 1, together} <= set(steps)
    reads = [place for place, shape in enumerate(shapes) if shape[1] > 1]
    assert any(shapes[place][1] == 1 for place in range(reads[0], reads[-1]))


def test_a_long_text_has_no_other_beside_it_which_would_take_as_much_memory(far: Loaded) -> None:
    shapes: list[tuple[int, int]] = []
    prompts = [len(text_of(song, far.vocabulary).prompt) for song in canary.songs(MODEL, far_model.LONGEST)]

    def note(tokens: mx.array, cache: list[Any]) -> None:
        rows, read = tokens.shape
        shapes.append((rows, (0 if cache[0].keys is None else cache[0].keys.shape[2]) + read))

    sung(heard(far, note))
    assert max(held for rows, held in shapes if rows > 1) < prompts[-1] / 2
    assert max(held for _, held in shapes) > prompts[-1]


def wrong_row(tokens: mx.array, cache: list[Any]) -> None:
    if tokens.shape[0] > 1 and tokens.shape[1] == 1:
        cache[-1].keys = cache[-1].keys[::-1]


def forgets(tokens: mx.array, cache: list[Any]) -> None:
    if tokens.shape[1] == 1 and cache[0].keys is not None and cache[0].keys.shape[2] > far_model.POSITIONS / 2:
        cache[0].values = cache[0].values * 0.5


@pytest.mark.parametrize("damage", [wrong_row, forgets])
def test_damage_that_shows_in_steps_of_one_token_only_is_found_in_what_is_written(
    damage: Callable[[mx.array, list[Any]], None], far: Loaded, sound: Logprobs
) -> None:
    damaged = sung(heard(far, damage))
    assert damaged[:SCORED] == sound[:SCORED]
    assert canary.difference(damaged, sound).startswith("log-probabilities differ")


def test_a_canary_that_is_longer_than_the_model_reads_is_refused_before_any_of_it_is_sung(far: Loaded) -> None:
    shapes: list[tuple[int, ...]] = []
    with pytest.raises(BadTask):
        sung(heard(far, lambda tokens, _: shapes.append(tokens.shape)), far_model.LONGEST + 1)
    assert shapes == []


def heard(loaded: Loaded, hears: Callable[[mx.array, list[Any]], object]) -> Loaded:
    """The same, with what every pass of the model reads, and its cache, given to somebody before."""

    class Model(FullPrecisionLogits):
        def __call__(self, tokens: mx.array, *, cache: list[Any]) -> mx.array:
            hears(tokens, cache)
            return super().__call__(tokens, cache=cache)

    return replace(loaded, model=Model(loaded.network), own=Model(loaded.network))
