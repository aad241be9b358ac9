"""Software: the Python that runs the daemon, and the MLX in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from realign_planner.diagnosis.answer import Version, document, version_of, word

# Apple's own interpreters, whose SQLite treats fullfsync as a barrier only.
_APPLE = re.compile(r"^/usr/bin/|^/Library/Developer/|^/Applications/Xcode")
_TAG = re.compile(r"-macosx_(\d{1,3})_\d{1,3}_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """What an interpreter says of itself. `tags` are those of the wheel of mlx-metal, empty without it."""

    python: str
    base: str  # the interpreter itself, not a virtual environment's link to it
    sqlite: str
    mlx: Version | None
    mlx_text: str
    tags: tuple[str, ...]
    has_bubblewrap: bool

    @property
    def is_apples(self) -> bool:
        """Whether it is the Python that comes with macOS or with Xcode."""
        return _APPLE.match(self.base) is not None

    @property
    def wheel_macos(self) -> int | None:
        """The macOS that the wheel was built for, by its tag: 26; None when no tag says it."""
        found = [int(match[1]) for tag in self.tags if (match := _TAG.search(tag))]
        return min(found, default=None)


def read_software(text: str | None) -> Software | None:
    """What the interpreter printed about itself; None when that could not be read."""
    found = document(text)
    if found is None:
        return None
    tags = found.get("wheel_tags")
    mlx = word(found.get("mlx"))
    return Software(
        python=word(found.get("python")),
        base=word(found.get("base")),
        sqlite=word(found.get("sqlite")),
        mlx=version_of(mlx, whole=False),
        mlx_text=mlx,
        tags=tuple(map(word, cast("list[object]", tags))) if isinstance(tags, list) else (),
        has_bubblewrap=found.get("bubblewrap") is True,
    )
