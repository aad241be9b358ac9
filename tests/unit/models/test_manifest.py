"""What another node or the hub says of a model's files, before any is written to a disk."""

from __future__ import annotations

import hashlib

import pytest
from tests.unit.models.conftest import FILES, NAME, READ

from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput, Damaged
from realign_daemon.models.manifest import MOST_FILES, Manifest, ModelFile, checked

EMPTY = Sha256(hashlib.sha256(b"").hexdigest())
HONEST = tuple(
    ModelFile(name=name, sha256=Sha256(hashlib.sha256(FILES[name]).hexdigest()), size_bytes=len(FILES[name]))
    for name in READ
)


def manifest(*more: ModelFile, name: str = NAME, revision: str = "") -> Manifest:
    return Manifest(name=name, revision=revision, files=(*HONEST, *more))


def test_the_files_of_a_model_are_taken() -> None:
    assert checked(manifest(revision="c0ffee00" * 5)) == manifest(revision="c0ffee00" * 5)


@pytest.mark.parametrize(
    "file",
    [
        "../evil.safetensors",
        "/etc/passwd",
        "model/../../evil.safetensors",
        "model\\evil.safetensors",
        "model\0.safetensors",
        "model\n.safetensors",
        "model\u202e.safetensors",
        f"model{'x' * 250}.safetensors",
        "model.safetensors/",
        "evil.py",
        "pytorch_model.bin",
        "realign-model.json",
        "Config.json",
        "",
        READ[0],
        "model-00001-OF-00002.safetensors",  # one file with that of READ where capitals do not count
    ],
)
def test_a_file_that_is_none_of_a_model_or_clashes_with_another_is_refused(file: str) -> None:
    with pytest.raises(Damaged, match="is not one of a model; fetch it from somewhere else"):
        checked(manifest(ModelFile(name=file, sha256=EMPTY, size_bytes=0)))


@pytest.mark.parametrize("sha256", ["", "../../x", EMPTY.upper(), f"{EMPTY}\n"])
def test_a_hash_that_is_none_is_refused(sha256: str) -> None:
    with pytest.raises(Damaged):
        checked(manifest(ModelFile(name="vocab.json", sha256=Sha256(sha256), size_bytes=0)))


def test_sizes_below_nothing_and_lists_without_end_are_refused() -> None:
    with pytest.raises(Damaged):
        checked(manifest(ModelFile(name="vocab.json", sha256=EMPTY, size_bytes=-1)))
    endless = (ModelFile(name=f"model{n}.safetensors", sha256=EMPTY, size_bytes=1) for n in range(MOST_FILES))
    with pytest.raises(Damaged):
        checked(manifest(*endless))


@pytest.mark.parametrize("revision", ["main", "../..", "\x1b[2J", "c0ffee", f"{'a' * 40}\n"])
def test_a_revision_that_is_no_commit_is_refused(revision: str) -> None:
    with pytest.raises(Damaged):
        checked(manifest(revision=revision))


@pytest.mark.parametrize(
    "name", ["", "..", "a/..", "../a", "/a", "a/b/c", "a//b", ".hidden", "a/.git", "a\0", "a\n", "ä"]
)
def test_a_name_that_is_no_path_below_the_store_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="is no name of a model"):
        checked(manifest(name=name))
