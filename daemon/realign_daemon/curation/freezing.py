"""Freezing: what a job keeps to its end although this machine may change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from realign_daemon.curation.intake import Frozen
from realign_daemon.curation.spec import ModelPin
from realign_daemon.curation.stages.suites import STANDARD_SUITES
from realign_daemon.curation.templates import load as load_templates
from realign_daemon.engine.api import LocalModel
from realign_daemon.work.blobs import BlobStore
from realign_planner.plan import Role


def freeze(roles: dict[Role, ModelPin], find: Callable[[str], LocalModel | None], blobs: BlobStore) -> Frozen:
    """Template versions, and the suites and replay rows that come with its target."""
    model = find(roles["target"].name)
    folder = model.path if model else None
    suites = _beside(folder, "suites.jsonl") or STANDARD_SUITES
    replay = _beside(folder, "replay.jsonl")
    versions: dict[str, str] = {}
    for name in sorted({pin.templates for pin in roles.values()}):
        versions |= load_templates(name).versions
    return Frozen(
        template_versions=versions,
        suites=blobs.put_bytes(suites.read_bytes()),
        replay=blobs.put_bytes(replay.read_bytes()) if replay else None,
    )


def _beside(folder: Path | None, name: str) -> Path | None:
    return folder / name if folder is not None and (folder / name).is_file() else None
