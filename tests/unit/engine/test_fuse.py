"""Fuse: the new model says what the old one said with its adapter, and needs none."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realign_daemon.engine.api import Fuse, Generate, LocalModel, Message, ModelId, Sampler, Sha256
from realign_daemon.engine.errors import BadTask

if TYPE_CHECKING:
    from realign_daemon.engine.child.load import Loaded


def prompts() -> tuple[Generate, ...]:
    return tuple(
        Generate(
            model=ModelId("m"),
            messages=(Message(role="user", content=question),),
            sampler=Sampler(temperature=0.0, max_tokens=8),
            seed=0,
            template="t@1",
        )
        for question in ("one?", "two and more?", "3")
    )


def answers(loaded: Loaded) -> list[str]:
    from realign_daemon.engine.child.generate import Sequences

    sequences = Sequences(loaded, 4)
    for place, prompt in enumerate(prompts()):
        sequences.add(place, prompt)
    found: dict[int, str] = {}
    while sequences:
        found.update((place, result.text) for place, result in sequences.step())
    return [found[place] for place in sorted(found)]


@pytest.fixture(scope="module")
def adapter(tiny_model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """The blob of an adapter that changes a lot, and the answers without it and with it."""
    import mlx.core as mx

    from realign_daemon.engine.child.load import load
    from realign_daemon.engine.child.lora import Adapters, Shape, pack

    blob = tmp_path_factory.mktemp("adapters") / "adapter.tar"
    model = load(tiny_model.path)
    before = answers(model)
    adapters, shape = Adapters(model.network), Shape(rank=2, scale=8.0, layer_count=model.layer_count)
    adapters.attach_new(shape, seed=1)
    mx.random.seed(1)
    model.network.load_weights(
        [(name, mx.random.normal(array.shape)) for name, array in adapters.weights().items()], strict=False
    )
    pack(blob, adapters.weights(), shape)
    return blob, before, answers(model)


def fused(tiny_model: LocalModel, adapter: Path, output: Path, *, bits: int | None = None) -> list[str]:
    from realign_daemon.engine.child.duty import Duty
    from realign_daemon.engine.child.fuse import fuse

    task = Fuse(model=ModelId("m"), adapter=Sha256("a"), quantise_bits=bits, prompts=prompts())
    result = fuse(task, model=tiny_model.path, adapter=adapter, output=output, duty=Duty(1.0), alive=lambda: None)
    return [answer.text for answer in result.answers]


def test_the_new_model_says_what_the_adapter_made_the_old_one_say(
    tiny_model: LocalModel, adapter: tuple[Path, list[str], list[str]], tmp_path: Path
) -> None:
    blob, before, after = adapter
    assert before != after
    assert fused(tiny_model, blob, tmp_path / "model.tar") == after
    with tarfile.open(tmp_path / "model.tar") as archive:
        names = archive.getnames()
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(names)
    assert not [name for name in names if "/" in name or "adapter" in name]


def test_equal_weights_are_equal_bytes(
    tiny_model: LocalModel, adapter: tuple[Path, list[str], list[str]], tmp_path: Path
) -> None:
    for name in ("one", "other"):
        fused(tiny_model, adapter[0], tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_weights_are_quantised_when_asked_for_and_say_so(
    tiny_model: LocalModel, adapter: tuple[Path, list[str], list[str]], tmp_path: Path
) -> None:
    assert len(fused(tiny_model, adapter[0], tmp_path / "model.tar", bits=8)) == len(prompts())
    with tarfile.open(tmp_path / "model.tar") as archive:
        config = archive.extractfile("config.json")
        assert config is not None
        assert json.load(config)["quantization"] == {"group_size": 32, "bits": 8, "mode": "affine"}


def test_an_adapter_of_another_model_and_bits_that_cannot_be_are_bad_tasks(
    tiny_model: LocalModel, adapter: tuple[Path, list[str], list[str]], tmp_path: Path
) -> None:
    other = tmp_path / "other.tar"
    other.write_bytes(b"no tar")
    for blob, bits in ((other, None), (adapter[0], 7)):
        with pytest.raises(BadTask, match="cannot be fused"):
            fused(tiny_model, blob, tmp_path / "model.tar", bits=bits)
