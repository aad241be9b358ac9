"""A tiny model for tests that compute, and blobs in a temporary folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realign_daemon.engine import api
from realign_daemon.engine.api import LocalModel, ModelId
from realign_daemon.work.blobs import BlobStore

if TYPE_CHECKING:
    from realign_daemon.engine.child.load import Loaded

SCRIPT = Path(__file__).parents[2] / "tiny_model.py"
POCKET = Path(api.__file__).parent / "pocket" / "model"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    subprocess.run([sys.executable, SCRIPT, folder], check=True, timeout=120)
    size = (folder / "model.safetensors").stat().st_size
    return LocalModel(
        name="tiny",
        model=ModelId("a" * 64),
        path=folder,
        params_b=2e-5,
        active_params_b=2e-5,
        bits=32,
        weight_bytes=size,
    )


@pytest.fixture(scope="session")
def loaded(tiny_model: LocalModel) -> Loaded:
    """The tiny model in this process."""
    return _load(tiny_model.path)


@pytest.fixture(scope="session")
def worded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A tiny model with random weights and a tokenizer like those of real models; it can reason."""
    folder = tmp_path_factory.mktemp("models") / "worded"
    subprocess.run([sys.executable, SCRIPT, folder, "words"], check=True, timeout=120)
    return _load(folder)


@pytest.fixture(scope="session")
def pocket() -> Loaded:
    """The model that ships."""
    return _load(POCKET)


def _load(folder: Path) -> Loaded:
    import mlx.core as mx

    from realign_daemon.engine.child.load import load

    mx.disable_compile()  # compiling on a CPU starts a C++ compiler for every kernel
    return load(folder)


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")
