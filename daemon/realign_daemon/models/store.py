"""Model store: the folder of models that realign brought to this machine, and what is still arriving."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import suppress
from pathlib import Path
from threading import Lock

from realign_daemon.durable_file import flush_folder, private_folder, replace_file
from realign_daemon.errors import WrongState
from realign_daemon.models.manifest import NOTE, Manifest, ModelFile, checked_name

MODELS = "models"
ARRIVING = "models-arriving"  # beside, not in it: what is there is found by nobody who looks for models
GONE = "gone-"
KEPT_S = 7 * 86_400.0  # a download that nobody went on with for so long begins anew


class ModelStore:
    """`DATA_DIR/models/OWNER/NAME`. A model comes and goes by one rename: half of one is never seen. Blocks."""

    def __init__(self, data_dir: Path, *, now_unix_s: float) -> None:
        """Removes what was forgotten half-way."""
        self.folder = data_dir / MODELS
        self._arriving = data_dir / ARRIVING
        self._changing = Lock()
        for folder in (self.folder, self._arriving):
            private_folder(folder)
        self.forget(now_unix_s)

    def forget(self, now_unix_s: float) -> None:
        """Removes what nobody went on with for a week, and what was on its way out."""
        with self._changing:
            for folder in self._forgotten(now_unix_s):
                shutil.rmtree(folder, ignore_errors=True)

    def forgotten_bytes(self, now_unix_s: float) -> tuple[int, ...]:
        """What `forget` would make room for now: the size of each model, or of what has come of it."""
        with self._changing:
            return tuple(sum(map(_own_bytes, folder.iterdir())) for folder in self._forgotten(now_unix_s))

    def _forgotten(self, now_unix_s: float) -> list[Path]:
        return [
            folder
            for folder in self._arriving.iterdir()
            if folder.is_dir() and (folder.name.startswith(GONE) or _touched_unix_s(folder) < now_unix_s - KEPT_S)
        ]

    def partial(self, manifest: Manifest, file: ModelFile) -> Path:
        """Where the file arrives; its beginning may be there."""
        folder = self._arriving / manifest.model
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / file.name

    def arrived_bytes(self, manifest: Manifest) -> int:
        """How much of the model is there."""
        return sum(min(_size(self._arriving / manifest.model / file.name), file.size_bytes) for file in manifest.files)

    def publish(self, manifest: Manifest) -> None:
        """Makes a model whose files have all arrived, right and on the disk, one that is found under its name."""
        arrived = self._arriving / manifest.model
        known = {file.name for file in manifest.files}
        with self._changing:
            for left in [file for file in arrived.iterdir() if file.name not in known]:
                left.unlink()
            self._publish(arrived, manifest)

    def link(self, manifest: Manifest, folder: Path) -> None:
        """Makes a model of this machine, whose files are in the folder, one that is found under another name, too."""
        arrived = self._arriving / f"{GONE}{manifest.model}"
        own = self.folder.resolve()
        with self._changing:
            shutil.rmtree(arrived, ignore_errors=True)
            arrived.mkdir(mode=0o700)
            for file in manifest.files:
                origin = (folder / file.name).resolve()
                if origin.is_relative_to(own):  # the other name may be removed, and this one stays whole
                    (arrived / file.name).hardlink_to(origin)
                else:
                    (arrived / file.name).symlink_to(origin)
            self._publish(arrived, manifest)

    def _publish(self, arrived: Path, manifest: Manifest) -> None:
        target = self.path(manifest.name)
        stamps = {file.name: (*_stamp(arrived / file.name), file.sha256) for file in manifest.files}
        note = {"name": manifest.name, "revision": manifest.revision, "model": manifest.model, "stamps": stamps}
        replace_file(arrived / NOTE, json.dumps(note, indent=1).encode())
        target.parent.mkdir(mode=0o700, exist_ok=True)
        before = self._put_aside(target)
        arrived.rename(target)
        flush_folder(target.parent)
        flush_folder(self.folder)
        shutil.rmtree(before, ignore_errors=True)

    def remove(self, name: str) -> None:
        """Takes the model away: it is found no more. What of it can't go at once goes with the next `forget`."""
        target = self.path(name)
        with self._changing:
            aside = self._put_aside(target)
            with suppress(OSError):  # another model of the same owner is in it
                if target.parent != self.folder:
                    target.parent.rmdir()
            shutil.rmtree(aside, ignore_errors=True)

    def has(self, path: Path) -> bool:
        """Whether a model's folder is one of this store."""
        return path.is_relative_to(self.folder)

    def path(self, name: str) -> Path:
        """Where a model of this name is, in whatever capitals, or would be.

        Raises:
            BadInput: it is no name.
            WrongState: there is a model where its owner's folder would be, or an owner's folder in its own place.
        """
        *owners, last = checked_name(name).split("/")
        target = self.folder
        for owner in owners:
            target = _spelled(target, owner)
            if _is_model(target):
                raise WrongState(
                    f"{name} can't be put beside the model {target.name}; `realignctl models rm {target.name}`"
                )
        target = _spelled(target, last)
        if target.is_dir() and not _is_model(target) and any(target.iterdir()):
            raise WrongState(f"{target} holds other models, so none of the name {name} fits there; remove those first")
        return target

    def _put_aside(self, target: Path) -> Path:
        aside = self._arriving / f"{GONE}{target.name}"
        shutil.rmtree(aside, ignore_errors=True)
        with suppress(FileNotFoundError):
            target.rename(aside)
        return aside


def _spelled(folder: Path, name: str) -> Path:
    """The folder's entry of that name in the capitals that it has: they do not tell two models apart."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return next((entry for entry in entries if entry.name.lower() == name.lower()), folder / name)


def _is_model(folder: Path) -> bool:
    return (folder / NOTE).exists() or (folder / "config.json").exists()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change, by which a hash that was just taken is known to hold still."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _touched_unix_s(folder: Path) -> float:
    try:
        return max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))
    except FileNotFoundError:
        return math.inf  # somebody goes on with it this very moment


def _own_bytes(file: Path) -> int:
    """What of the disk goes with the file: nothing where it is a link, or another name of one that stays."""
    status = file.lstat()
    return status.st_size if status.st_nlink == 1 and not file.is_symlink() else 0
