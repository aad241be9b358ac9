"""Data sets: what is learned, what is refused, and the order in which rows come."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine.api import ModelId, Sha256, Train, TrainSettings
from realign_daemon.engine.child.dataset import Dataset, Pair, Rollout, Row, batches, read_dataset
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.errors import BadTask

Method = Literal["sft", "dpo", "grpo"]


def task(method: Method, **settings: Any) -> Train:
    return Train(
        model=ModelId("m"), method=method, dataset=Sha256("d" * 64), settings=TrainSettings(**settings), seed=1
    )


def turns(*contents: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(contents)]


ROLLOUT = {"split": "train", "prompt": turns("q"), "completion": "good", "advantage": 0.5, "group": "g"}


def written(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows))
    return path


def test_only_the_last_assistant_turn_is_learned(loaded: Loaded, tmp_path: Path) -> None:
    path = written(tmp_path, {"split": "train", "messages": turns("q", "a", "more?", "b")})
    (row,) = read_dataset(path, task("sft"), loaded.vocabulary).train
    assert isinstance(row, Row)
    decode = loaded.vocabulary.tokenizer.decode
    assert decode(list(row.prompt)) == "<|user|>q<|end|><|assistant|>a<|end|><|user|>more?<|end|><|assistant|>"
    assert decode(list(row.completion)) == "b<|end|>"


def test_pairs_share_their_prompt_and_replay_rows_are_conversations(loaded: Loaded, tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"split": "train", "prompt": turns("q"), "chosen": "good", "rejected": "bad"},
        b"",
        {"split": "valid", "prompt": turns("v"), "chosen": "good", "rejected": "bad"},
        {"split": "replay", "messages": turns("old", "known")},
    )
    data = read_dataset(path, task("dpo"), loaded.vocabulary)
    (pair,) = data.train
    assert isinstance(pair, Pair)
    assert pair.chosen.prompt == pair.rejected.prompt
    assert (len(pair.chosen.completion), len(pair.rejected.completion)) == (5, 4)
    assert (len(data.valid), len(data.replay)) == (1, 1)


@pytest.mark.parametrize(
    ("method", "row", "words"),
    [
        ("sft", b"{", "line 2"),
        ("sft", [], "line 2"),
        ("sft", {"split": "test", "messages": turns("q", "a")}, "line 2"),
        ("sft", {"split": "train", "messages": turns("q")}, "not the assistant's"),
        ("sft", {"split": "train", "messages": []}, "not the assistant's"),
        ("dpo", {"split": "train", "messages": turns("q", "a")}, "line 2"),
        ("dpo", {"split": "train", "prompt": turns("q"), "chosen": "x"}, "rejected"),
        ("sft", b'{"split": "train", "messages": "\xff"}', "UnicodeDecodeError"),
        ("grpo", {"split": "train", "messages": turns("q", "a")}, "prompt"),
        ("grpo", {"split": "train", "prompt": turns("q"), "completion": "a", "group": "g"}, "advantage"),
        ("grpo", {"split": "train", "prompt": turns("q"), "completion": "a", "advantage": 1.0}, "group"),
        ("grpo", {**ROLLOUT, "advantage": float("nan")}, "advantage is nan"),
        ("grpo", {**ROLLOUT, "completion": "x" * 60}, "65 tokens"),
        ("sft", {"split": "train", "messages": turns("q" * 60, "a")}, "65 tokens and 50 are allowed"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(
    loaded: Loaded, tmp_path: Path, method: Method, row: object, words: str
) -> None:
    good: dict[str, object] = {"split": "valid", "messages": turns("q", "a")}
    if method == "dpo":
        good = {"split": "valid", "prompt": turns("q"), "chosen": "a", "rejected": "b"}
    if method == "grpo":
        good = {**ROLLOUT, "split": "valid"}
    with pytest.raises(BadTask, match=words) as refusal:
        read_dataset(written(tmp_path, good, row), task(method, max_tokens=50), loaded.vocabulary)
    assert "line 2" in str(refusal.value)


def test_a_data_set_with_nothing_to_learn_is_refused(loaded: Loaded, tmp_path: Path) -> None:
    path = written(tmp_path, {"split": "valid", "messages": turns("q", "a")})
    with pytest.raises(BadTask, match="no row of split train"):
        read_dataset(path, task("sft"), loaded.vocabulary)


def test_rollouts_carry_their_advantage_and_those_without_one_are_not_trained_on(
    loaded: Loaded, tmp_path: Path
) -> None:
    rows = [{**ROLLOUT, "advantage": advantage, "split": split} for split in ("train", "valid") for advantage in (1, 0)]
    data = read_dataset(written(tmp_path, *rows), task("grpo"), loaded.vocabulary)
    (rollout,) = data.train
    assert isinstance(rollout, Rollout)
    assert (rollout.advantage, rollout.group, len(rollout.row.completion)) == (1.0, "g", 5)
    assert len(data.valid) == 2
    with pytest.raises(BadTask, match="no row of split train to learn from"):
        read_dataset(written(tmp_path, {**ROLLOUT, "advantage": 0}), task("grpo"), loaded.vocabulary)


def test_a_line_ends_at_a_line_feed_only(loaded: Loaded, tmp_path: Path) -> None:
    text = '{"split": "train", "messages": [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c"}]}'
    data = read_dataset(written(tmp_path, text.replace(" b", "\u2028b").encode()), task("sft"), loaded.vocabulary)
    assert len(data.train) == 1


@given(
    fresh=st.integers(1, 40),
    again=st.integers(0, 40),
    batch_size=st.integers(1, 16),
    seed=st.integers(0, 5),
)
def test_batches_hold_replay_in_its_share_and_repeat_nothing_early(
    fresh: int, again: int, batch_size: int, seed: int
) -> None:
    data = Dataset(
        train=tuple(Row((1,), (place,)) for place in range(fresh)),
        valid=(),
        replay=tuple(Row((2,), (place,)) for place in range(again)),
    )
    some = list(islice(batches(data, batch_size=batch_size, seed=seed), 30))
    assert some == list(islice(batches(data, batch_size=batch_size, seed=seed), 30))
    for new, old in some:
        assert 1 <= len(new) <= batch_size - len(old)
        if again and batch_size > 1:
            share = batch_size * again / (fresh + again)
            assert len(old) >= 1
            assert abs(len(old) - share) <= 1
        else:
            assert not old
    for stream, size in (([i for new, _ in some for i in new], fresh), ([i for _, old in some for i in old], again)):
        counts = Counter(stream)
        assert not stream or max(counts.values()) - min(counts.get(i, 0) for i in range(size)) <= 1


def test_another_seed_gives_another_order() -> None:
    data = Dataset(train=tuple(Row((1,), (place,)) for place in range(50)), valid=(), replay=())
    assert next(batches(data, batch_size=50, seed=1)) != next(batches(data, batch_size=50, seed=2))
