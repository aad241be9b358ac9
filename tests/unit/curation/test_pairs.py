"""Pairs: at most one a prompt, of two different texts, whatever the order of the responses."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.curation.documents.document import Chunk, Span
from realign_daemon.curation.material import Prompt, Rated, Response
from realign_daemon.curation.pairs import best_and_worst, normalise
from realign_daemon.engine.api import Generate, Message, ModelId, Sampler

CHUNK = Chunk(id="c", source="a.txt", source_sha256="0", section="", spans=(Span(page=1, start=0, end=1),), text="x")


def rated(text: str, quality: float, *, seed: int = 0) -> Rated:
    task = Generate(
        model=ModelId("m"), messages=(Message(role="user", content="q"),), sampler=Sampler(), seed=seed, template="t@1"
    )
    prompt = Prompt(id="p", question="q", chunk=CHUNK, task=task, is_held_out=False)
    return Rated(response=Response(prompt=prompt, text=text, task=task, is_truncated=False), quality=quality)


def test_the_pair_is_the_best_and_the_worst() -> None:
    low, middle, high = rated("a", 2.0), rated("b", 5.0), rated("c", 9.0)
    assert best_and_worst([middle, high, low]) == (high, low)


def test_a_prompt_whose_answers_say_the_same_gives_no_pair() -> None:
    assert best_and_worst([rated("Yes ", 9.0), rated("yes", 2.0), rated("ＹＥＳ", 1.0)]) is None  # noqa: RUF001
    assert best_and_worst([]) is None


def test_the_worst_says_something_else_than_the_best() -> None:
    best, other = rated("yes", 9.0), rated("no", 5.0)
    assert best_and_worst([best, other, rated("YES", 1.0)]) == (best, other)


def test_answers_rated_alike_are_ordered_by_their_text() -> None:
    first, second = rated("apple", 5.0), rated("pear", 5.0)
    assert best_and_worst([second, first]) == best_and_worst([first, second]) == (first, second)


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "A ", "b", "c"]), st.sampled_from([1.0, 5.0, 9.0]), st.integers(0, 2)),
        unique=True,
    ),
    st.randoms(),
)
def test_the_order_of_responses_never_matters(responses: list[tuple[str, float, int]], rng: random.Random) -> None:
    made = [rated(text, quality, seed=seed) for text, quality, seed in responses]
    shuffled = sorted(made, key=lambda _: rng.random())
    found = best_and_worst(made)
    assert found == best_and_worst(shuffled)
    if found is not None:
        best, worst = found
        assert normalise(best.response.text) != normalise(worst.response.text)
        assert best.quality == max(one.quality for one in made)


@given(st.text())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
