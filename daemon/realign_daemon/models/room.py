"""Room: whether the disk has it for a model, beside what the node's work needs. Pure."""

from __future__ import annotations

from realign_daemon.errors import Full
from realign_daemon.models.manifest import Manifest


def must_have_room(manifest: Manifest, *, arrived_bytes: int, room_bytes: int) -> None:
    """Raises Full where what is missing of the model takes more than models may take."""
    missing_bytes = manifest.size_bytes - arrived_bytes
    if missing_bytes > max(0, room_bytes):
        raise Full(
            f"{manifest.name} takes {missing_bytes / 1e9:.1f} GB more, and this node's disk has room for "
            f"{max(0, room_bytes) / 1e9:.1f} GB beside what its work needs; make room, or use another node"
        )


def must_leave_room(manifest: Manifest, *, room_bytes: int) -> None:
    """Raises Full where something else took so much of the disk meanwhile that the node's work stands still."""
    if room_bytes < 0:
        raise Full(
            f"this node's disk filled up while {manifest.name} came; what has come is kept: make room, then go on"
        )
