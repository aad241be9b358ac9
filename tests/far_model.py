"""The pocket model, said to read more: whole canaries go through it, though what it makes of the far ends is noise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from realign_daemon.engine.models import POCKET_FOLDER

POSITIONS = 2048  # its tokens are letters
LONGEST = 1  # of the canary's lengths that it reads


def lengthen(folder: Path) -> Path:
    """Writes it; gives the folder."""
    shutil.copytree(POCKET_FOLDER, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": POSITIONS}))
    return folder
