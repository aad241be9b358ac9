"""Local models: found by name, named by content, described from their headers."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from realign_daemon.engine import models as models_module
from realign_daemon.engine.models import LocalModels, hub_folder
from realign_daemon.engine.weights import weigh

Tensors = dict[str, tuple[str, list[int]]]
DENSE: Tensors = {"model.embed_tokens.weight": ("BF16", [100, 8]), "model.layers.0.mlp.weight": ("BF16", [8, 25])}


def safetensors(tensors: Tensors, data: bytes = b"") -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "mlx"}}
    header |= {
        name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]} for name, (dtype, shape) in tensors.items()
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def model_folder(folder: Path, tensors: Tensors = DENSE, data: bytes = b"", **config: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "x"} | config))
    (folder / "model.safetensors").write_bytes(safetensors(tensors, data))
    return folder


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


def local(shelf: Path, *, hub: Path | None = None) -> LocalModels:
    return LocalModels([shelf], shelf.parent / "hashes.json", hub=hub or shelf.parent / "no-hub")


def test_a_folder_is_found_by_its_name_whatever_the_capitals(shelf: Path) -> None:
    folder = model_folder(shelf / "My-Model")
    found = local(shelf).find("my-model")
    assert found is not None
    assert (found.name, found.path, found.bits) == ("My-Model", folder, 16)
    assert found.params_b == found.active_params_b == 1000 / 1e9
    assert found.weight_bytes == (folder / "model.safetensors").stat().st_size
    assert found.templates == "standard"
    assert local(shelf).find("other") is None


def test_a_folder_in_a_folder_is_named_like_a_hub_id(shelf: Path) -> None:
    model_folder(shelf / "org" / "name", realign_templates="pocket")
    found = local(shelf).find("org/name")
    assert found is not None
    assert found.templates == "pocket"


def test_the_name_of_content_follows_from_what_the_engine_reads_and_nothing_else(shelf: Path) -> None:
    one = model_folder(shelf / "one", data=b"weights")
    other = model_folder(shelf / "other", data=b"weights")
    (other / "README.md").write_text("a card")
    changed = model_folder(shelf / "changed", data=b"Weights")
    templated = model_folder(shelf / "templated", data=b"weights")
    (templated / "chat_template.jinja").write_text("{{ messages }}")
    names = {model.name: model.model for model in local(shelf).all()}
    assert names[one.name] == names[other.name]
    assert len({names[one.name], names[changed.name], names[templated.name]}) == 3
    assert all(len(name) == 64 for name in names.values())


def test_hashes_are_kept_until_the_file_changes(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model_folder(shelf / "one", data=b"weights")
    hashed: list[str] = []
    real = models_module.sha256_of

    def counting(file: Path) -> str:
        hashed.append(file.name)
        return real(file)

    monkeypatch.setattr(models_module, "sha256_of", counting)
    first = local(shelf).find("one")
    assert sorted(hashed) == ["config.json", "model.safetensors"]
    assert local(shelf).find("one") == first
    assert len(hashed) == 2
    (folder / "model.safetensors").write_bytes(safetensors(DENSE, b"other weights"))
    assert local(shelf).find("one") != first
    assert hashed[2:] == ["model.safetensors"]


def test_a_damaged_cache_of_hashes_is_made_anew(shelf: Path) -> None:
    model_folder(shelf / "one")
    first = local(shelf).find("one")
    (shelf.parent / "hashes.json").write_text("{")
    assert local(shelf).find("one") == first


def test_hub_snapshots_are_found_and_their_blobs_are_not_read(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = shelf.parent / "hub"
    repository = hub / "models--org--name"
    content = safetensors(DENSE)
    blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
    blob.parent.mkdir(parents=True)
    blob.write_bytes(content)
    for commit in ("old", "new"):
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text(json.dumps({"commit": commit}))
        (snapshot / "model.safetensors").symlink_to(blob)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("old\n")
    (hub / "datasets--org--rows").mkdir()
    real = models_module.sha256_of

    def no_blobs(file: Path) -> str:
        assert file.suffix == ".json", "a blob is named by its hash already"
        return real(file)

    monkeypatch.setattr(models_module, "sha256_of", no_blobs)
    found = local(shelf, hub=hub).find("Org/Name")
    assert found is not None
    assert (found.name, found.path.name) == ("org/name", "old")


def test_a_model_that_is_not_whole_does_not_count(shelf: Path) -> None:
    half = model_folder(shelf / "half")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (half / "model.safetensors.index.json").write_text(json.dumps(index))
    (shelf / "empty").mkdir()
    broken = model_folder(shelf / "broken")
    (broken / "model.safetensors").write_bytes(b"\0" * 100)
    assert [model.name for model in local(shelf).all() if model.name != "pocket"] == []
    (half / "model-2.safetensors").write_bytes(safetensors({}))
    assert local(shelf).find("half") is not None


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"HF_HUB_CACHE": "/a"}, "/a"),
        ({"HUGGINGFACE_HUB_CACHE": "/b", "HF_HOME": "/c"}, "/b"),
        ({"HF_HOME": "/c"}, "/c/hub"),
        ({"XDG_CACHE_HOME": "/d"}, "/d/huggingface/hub"),
        ({}, str(Path.home() / ".cache/huggingface/hub")),
    ],
)
def test_the_hub_cache_is_where_its_own_tools_look(environment: dict[str, str], folder: str) -> None:
    assert hub_folder(environment) == Path(folder)


def weights(tmp_path: Path, tensors: Tensors, **config: Any) -> tuple[int, int, int]:
    file = tmp_path / "w.safetensors"
    file.write_bytes(safetensors(tensors))
    found = weigh([file], config)
    return found.params, found.active_params, found.bits


def test_packed_weights_count_as_many_as_they_stand_for(tmp_path: Path) -> None:
    """64 x 128 weights of 4 bits are 64 x 16 words, with a scale and a bias for every 64."""
    tensors: Tensors = {
        "a.weight": ("U32", [64, 16]),
        "a.scales": ("BF16", [64, 2]),
        "a.biases": ("BF16", [64, 2]),
        "norm.weight": ("BF16", [128]),
        "head.weight": ("U32", [10, 32]),
        "head.scales": ("BF16", [10, 2]),
        "head.biases": ("BF16", [10, 2]),
    }
    quantization = {"bits": 4, "group_size": 64, "head": {"bits": 8, "group_size": 64}}
    assert weights(tmp_path, tensors, quantization=quantization) == (64 * 128 + 128 + 10 * 128,) * 2 + (4,)


def test_a_token_goes_through_its_share_of_the_experts(tmp_path: Path) -> None:
    tensors: Tensors = {
        "layers.0.mlp.switch_mlp.up_proj.weight": ("F32", [8, 10, 10]),
        "layers.0.attn.weight": ("F32", [50]),
    }
    assert weights(tmp_path, tensors, num_experts=8, num_experts_per_tok=2) == (850, 250, 32)


def test_the_pocket_model_is_described_truly() -> None:
    folder = models_module.POCKET_FOLDER
    assert weigh(folder.glob("*.safetensors"), json.loads((folder / "config.json").read_text())).bits == 32
