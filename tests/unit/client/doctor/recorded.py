"""The machines of tests/data/doctor, as folders that --recorded reads."""

from __future__ import annotations

import shutil
from pathlib import Path

DATA = Path(__file__).parents[3] / "data" / "doctor"
BROKEN = sorted(path.name for path in (DATA / "broken").iterdir())


def broken(name: str, target: Path) -> Path:
    """The laptop with what is broken in it, its healthy peer beside it."""
    pair(target)
    changed = DATA / "broken" / name
    shutil.copytree(changed, target, dirs_exist_ok=True)
    missing = target / "MISSING"
    for answer in missing.read_text().split() if missing.exists() else ():
        (target / answer).unlink()
    return target


def pair(target: Path) -> Path:
    """The healthy laptop, with the studio at the other end of its cable."""
    shutil.copytree(DATA / "laptop", target)
    shutil.copytree(DATA / "studio", target / "peers" / "studio")
    return target
