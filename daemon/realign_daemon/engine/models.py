"""LocalModels: the models whose weights are on this machine, found by name and named by content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import structlog

from realign_daemon.durable_file import replace_file
from realign_daemon.engine.api import LocalModel, ModelId, ModelShape, Sha256
from realign_daemon.engine.weights import weigh
from realign_daemon.models.manifest import NOTE, READ_BY_THE_ENGINE, WEIGHTS, Manifest, ModelFile, content_id
from realign_planner.model_config import read_config

_log = structlog.get_logger()

POCKET = "pocket"
POCKET_FOLDER = Path(__file__).with_name("pocket") / "model"
_SHA256_DIGITS = 64
_COMMIT = re.compile(r"[0-9a-f]{40}")
_CHUNK_BYTES = 2**20


class LocalModels:
    """Looks in the package, the given folders and the Hugging Face cache, in this order; the first name wins.

    The methods read disks, and hash what they have not hashed before: call them in a thread.
    """

    def __init__(self, dirs: Iterable[Path], cache_file: Path, *, hub: Path | None = None) -> None:
        """`dirs` hold model folders, or folders of such. `cache_file` keeps hashes between runs."""
        self._dirs = tuple(dirs)
        self._hub = hub or hub_folder(os.environ)
        self._hashes = _Hashes(cache_file)

    def find(self, name: str) -> LocalModel | None:
        """The model of this name ("pocket", a hub id, a folder's name; capitals do not matter), or None."""
        for found, folder in self._folders():
            if found.lower() == name.lower() and (model := self._read(found, folder)) is not None:
                return model
        return None

    def all(self) -> tuple[LocalModel, ...]:
        """Every model that is whole, by name."""
        folders: dict[str, Path] = {}
        for name, folder in self._folders():
            folders.setdefault(name, folder)
        models = [self._read(name, folder) for name, folder in sorted(folders.items())]
        return tuple(model for model in models if model is not None)

    def manifest(self, model: LocalModel) -> Manifest:
        """The files of a model that was found here, as they are now. Raises OSError when one has gone."""
        files = _read_files(model.path, model.path.glob(WEIGHTS))
        listed = tuple(
            ModelFile(name=file.name, sha256=self._hashes.sha256(file), size_bytes=file.stat().st_size)
            for file in files
        )
        return Manifest(name=model.name, revision=model.revision, files=listed)

    def _folders(self) -> Iterator[tuple[str, Path]]:
        candidates = [
            (POCKET, POCKET_FOLDER),
            *(found for folder in self._dirs for found in _model_folders(folder)),
            *_snapshots(self._hub),
        ]
        return ((name, folder) for name, folder in candidates if _is_whole(folder))

    def _read(self, name: str, folder: Path) -> LocalModel | None:
        files = sorted(folder.glob(WEIGHTS))
        try:
            config = cast("dict[str, Any]", json.loads((folder / "config.json").read_text()))
            weights = weigh(files, config)
            model = self._hash(folder, files)
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("model.unreadable", model=name, folder=str(folder), error=repr(error))
            return None
        return LocalModel(
            name=name,
            model=model,
            path=folder,
            params_b=weights.params / 1e9,
            active_params_b=weights.active_params / 1e9,
            bits=weights.bits,
            weight_bytes=sum(file.stat().st_size for file in files),
            templates=str(config.get("realign_templates", "standard")),
            revision=_revision(folder),
            shape=_shape(config),
        )

    def _hash(self, folder: Path, weights: Iterable[Path]) -> ModelId:
        self._hashes.learn(folder)
        model = content_id((file.name, self._hashes.sha256(file)) for file in _read_files(folder, weights))
        self._hashes.save()
        return model


def lm_studio_folders(home: Path) -> tuple[Path, ...]:
    """Where LM Studio keeps models: publisher, then model. It moved them from the second place to the first."""
    return (home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models")


def hub_folder(environment: Mapping[str, str]) -> Path:
    """Where the Hugging Face tools keep what they download, by the variables that they read themselves."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environment.get(variable):
            return Path(environment[variable]).expanduser()
    cache_home = environment.get("XDG_CACHE_HOME") or "~/.cache"
    home = environment.get("HF_HOME") or f"{cache_home}/huggingface"
    return Path(home).expanduser() / "hub"


class _Hashes:
    """SHA-256 of files, remembered by path, size and time of change."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[Any]] = {}
        self._changed = False
        try:
            self._known = cast("dict[str, list[Any]]", json.loads(file.read_text()))
        except (OSError, ValueError):
            self._known = {}  # it is a cache: hashing again makes it anew

    def sha256(self, file: Path) -> Sha256:
        """The hash of a file; that of a blob in a hub cache is its name."""
        target = file.resolve()
        if target.parent.name == "blobs" and len(target.name) == _SHA256_DIGITS:
            return Sha256(target.name)
        stat = target.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        known = self._known.get(str(target))
        if known is None or known[:2] != stamp:
            known = self._known[str(target)] = [*stamp, sha256_of(target)]
            self._changed = True
        return Sha256(str(known[2]))

    def learn(self, folder: Path) -> None:
        """Takes over what was hashed when a model was brought to this folder, so that nothing is read twice."""
        with contextlib.suppress(OSError, ValueError, KeyError, AttributeError):
            stamps = cast("dict[str, list[Any]]", json.loads((folder / NOTE).read_text())["stamps"])
            for name, stamp in stamps.items():
                file = (folder / name).resolve()
                status = file.stat()
                if stamp[:2] == [status.st_size, status.st_mtime_ns]:
                    self._known[str(file)] = stamp

    def save(self) -> None:
        """Keeps what was hashed since the last time."""
        if self._changed:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._file, json.dumps(self._known, indent=1, sort_keys=True).encode())
            self._changed = False


def sha256_of(file: Path) -> str:
    """The hash of a file's content; reads all of it."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _model_folders(folder: Path) -> Iterator[tuple[str, Path]]:
    """A model folder itself, the model folders in it, and those one level deeper, named like hub ids."""
    if (folder / "config.json").is_file():
        yield folder.name, folder
        return
    for child in _subfolders(folder):
        if (child / "config.json").is_file():
            yield child.name, child
        else:
            yield from ((f"{child.name}/{inner.name}", inner) for inner in _subfolders(child))


def _snapshots(hub: Path) -> Iterator[tuple[str, Path]]:
    """What `main` points to of every model in a hub cache; without that, the newest snapshot."""
    for repository in _subfolders(hub):
        kind, *parts = repository.name.split("--")
        if kind != "models" or not parts:
            continue
        snapshots = {folder.name: folder for folder in _subfolders(repository / "snapshots")}
        main = repository / "refs" / "main"
        commit = main.read_text().strip() if main.is_file() else ""
        newest = max(snapshots.values(), key=lambda folder: folder.stat().st_mtime, default=None)
        chosen = snapshots.get(commit, newest)
        if chosen is not None:
            yield "/".join(parts), chosen


def _subfolders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []


def _read_files(folder: Path, weights: Iterable[Path]) -> list[Path]:
    others = (folder / name for name in READ_BY_THE_ENGINE)
    return sorted((*weights, *(file for file in others if file.exists())), key=lambda file: file.name)


def _shape(config: Mapping[str, object]) -> ModelShape | None:
    found = read_config(config)
    if not found.layers or not found.kv_values:
        return None
    return ModelShape(
        layers=found.layers,
        heads=found.heads,
        kv_heads=found.kv_heads,
        kv_values=found.kv_values,
        tensor=found.tensor,
        pipeline=found.pipeline,
    )


def _revision(folder: Path) -> str:
    """The commit that a model folder holds, by its note or its place in a hub cache; empty where neither says."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((folder / NOTE).read_text())["revision"])
    return folder.name if folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name) else ""


def _is_whole(folder: Path) -> bool:
    """Whether configuration and weights are there, all parts of them where an index lists the parts."""
    if not (folder / "config.json").is_file() or not any(folder.glob(WEIGHTS)):
        return False
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return True
    try:
        parts = set(cast("dict[str, dict[str, str]]", json.loads(index.read_text()))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return all((folder / part).is_file() for part in parts)
