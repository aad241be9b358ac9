"""A hub with one tiny model, and the files that realign reads of it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import pytest
from tests.model_hub import ModelHub, Repository, model_hub

from realign_daemon.models import hub_download

NAME = "acme/tiny-1M"


def weights(values: int, seed: int) -> bytes:
    """A file of safetensors with so many half numbers."""
    header = json.dumps({"w": {"dtype": "F16", "shape": [values], "data_offsets": [0, 2 * values]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes((seed + 31 * number) % 251 for number in range(2 * values))


FILES = {
    "config.json": json.dumps({"model_type": "llama", "realign_templates": "pocket"}).encode(),
    "tokenizer.json": b'{"version": "1.0"}',
    "model-00001-of-00002.safetensors": weights(150_000, 1),
    "model-00002-of-00002.safetensors": weights(100_000, 2),
    "model.safetensors.index.json": b"{}",
    "modeling_tiny.py": b"import os",
    "pytorch_model.bin": b"a pickle",
    "consolidated.safetensors": weights(10, 3),
    "onnx/model.safetensors": weights(10, 4),
    "README.md": b"# A card",
}
READ = ("config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "tokenizer.json")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    with model_hub({NAME: Repository(FILES)}) as found:
        for variable, value in found.environment().items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setenv("HF_HOME", "/nowhere")
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr(hub_download, "FIRST_WAIT_S", 0.0)
        yield found
