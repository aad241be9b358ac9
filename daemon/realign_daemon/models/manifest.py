"""Manifest: the files that make a model, each with its hash. What they hash to together is the model's name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from realign_daemon.engine.api import ModelId, Sha256
from realign_daemon.errors import BadInput, Damaged

WEIGHTS = "model*.safetensors"  # mlx_lm reads these, whatever else a repository has
NOTE = "realign-model.json"  # beside a model that realign brought: where it comes from
# What a model answers follows from these and its weights. Cards, examples, code and other formats are never fetched.
READ_BY_THE_ENGINE = frozenset(
    {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.jinja",
        "chat_template.json",
        "vocab.json",
        "merges.txt",
    }
)
MOST_FILES = 2_000  # the largest models come in some two hundred parts
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_NAME_LENGTH = 200
_WEIGHTS_NAME = re.compile(r"model[\w.-]{0,200}\.safetensors", re.ASCII)
_COMMIT = re.compile(r"([0-9a-f]{40})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of a model."""

    name: str  # without a folder
    sha256: Sha256
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that the engine reads of a model, in the order of their names."""

    name: str  # a hub id, or a folder's name
    revision: str  # commit of the hub; empty for what did not come from there
    files: tuple[ModelFile, ...]

    @property
    def model(self) -> ModelId:
        """What the weights are called by their content."""
        return content_id((file.name, file.sha256) for file in self.files)

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in self.files)


def content_id(files: Iterable[tuple[str, str]]) -> ModelId:
    """The name of a model by its content: names and hashes of its files."""
    digest = hashlib.sha256()
    for name, sha256 in sorted(files):
        digest.update(f"{name}\0{sha256}\n".encode())
    return ModelId(digest.hexdigest())


def is_weights(name: str) -> bool:
    """Whether the file holds weights that the engine reads."""
    return _WEIGHTS_NAME.fullmatch(name) is not None


def is_read(name: str) -> bool:
    """Whether the engine reads the file: nothing that could run is among these."""
    return name in READ_BY_THE_ENGINE or is_weights(name)


def checked_name(name: str) -> str:
    """The name of a model, fit to be a path. Raises BadInput."""
    if not _NAME.fullmatch(name) or len(name) > _NAME_LENGTH or ".." in name:
        raise BadInput(f"{name[:80]!r} is no name of a model; give a hub id such as owner/name, or a folder's name")
    return name


def checked(manifest: Manifest, *, expected: ModelId | None = None) -> Manifest:
    """The manifest, which came over a wire and may be written to a disk now.

    Raises:
        BadInput: its name is none.
        Damaged: it names what the engine does not read or what some disks take for one file, or is another model than
            the expected one.
    """
    checked_name(manifest.name)
    names = [file.name for file in manifest.files]
    is_sound = (
        len(names) == len({name.lower() for name in names}) <= MOST_FILES
        and all(is_read(file.name) and _SHA256.fullmatch(file.sha256) for file in manifest.files)
        and all(file.size_bytes >= 0 for file in manifest.files)
        and "config.json" in names
        and any(map(is_weights, names))
        and _COMMIT.fullmatch(manifest.revision)
    )
    if not is_sound:
        raise Damaged(f"the list of files of {manifest.name} is not one of a model; fetch it from somewhere else")
    if expected is not None and manifest.model != expected:
        raise Damaged(
            f"the weights of {manifest.name} offered as {expected[:12]} are {manifest.model[:12]}; "
            "fetch them from somewhere else"
        )
    return manifest
