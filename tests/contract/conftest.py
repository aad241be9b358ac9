"""The model that a real engine is tested with: the shipped one where it is, else one with random weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from realign_daemon.engine.api import LocalModel
from realign_daemon.engine.models import POCKET_FOLDER, LocalModels

SCRIPT = Path(__file__).parents[1] / "tiny_model.py"


@pytest.fixture(scope="session")
def real_model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    folder = tmp_path_factory.mktemp("contract-models")
    name = "pocket"
    if not (POCKET_FOLDER / "config.json").is_file():
        name = "tiny"
        subprocess.run([sys.executable, SCRIPT, folder / name], check=True, timeout=120)
    model = LocalModels([folder], folder / "hashes.json", hub=folder / "no-hub").find(name)
    assert model is not None, json.dumps(sorted(map(str, folder.iterdir())))
    return model
