"""A model three times as large as the pocket model that answers as it does: too large for a node of little memory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, cast

from realign_daemon.engine.models import POCKET_FOLDER

NAME = "deep-pocket"
LAYERS, MORE_LAYERS = 6, 12
# With the cache of one sequence the planner reckons 8 MB for the pocket model and 23 MB for the deep one.
NEEDED_GB = 0.0235


def deepen(folder: Path) -> None:
    """Writes the pocket model with layers behind its own that add nothing."""
    shutil.copytree(POCKET_FOLDER, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"num_hidden_layers": LAYERS + MORE_LAYERS, "mlp_only_layers": list(range(LAYERS + MORE_LAYERS))}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors.index.json").unlink()
    weights = folder / "model.safetensors"
    data = weights.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, body = cast("dict[str, Any]", json.loads(data[8 : 8 + length])), data[8 + length :]
    for name, entry in dict(header).items():
        if f".layers.{LAYERS - 1}." not in name:
            continue
        begin, end = entry["data_offsets"]
        adds = name.endswith(("o_proj.weight", "down_proj.weight"))
        for layer in range(LAYERS, LAYERS + MORE_LAYERS):
            offsets = [len(body), len(body) + end - begin]
            header[name.replace(f".{LAYERS - 1}.", f".{layer}.")] = {**entry, "data_offsets": offsets}
            body += bytes(end - begin) if adds else body[begin:end]
    text = json.dumps(header).encode()
    weights.write_bytes(len(text).to_bytes(8, "little") + text + body)
