"""Hub look: what a model on the hub is, down to the hash of each file, without its weights. Runs in a worker child."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

from realign_daemon.engine.weights import MAX_HEADER_BYTES, weigh
from realign_daemon.models.hub_answer import Answer, Broken, HubRefusal, asked, endpoint, path_of
from realign_daemon.models.manifest import MOST_FILES, WEIGHTS, is_read, is_weights

DESCRIPTION_BYTES = 16 * 2**20  # of a repository of thousands of files
SMALL_BYTES = 64 * 2**20  # the largest tokeniser is some twenty million
HEAD_BYTES = 2**20  # holds the header of most files of weights
AT_ONCE = 8  # headers of the parts of one model
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")

Sibling = Mapping[str, Any]


def look_up(*, name: str, revision: str) -> Mapping[str, Any]:
    """The model's commit, files, parameters and bits as plain data, or `{refused, sentence}`.

    `files` has a name, size and SHA-256 of each file that the engine reads. The hub says the hashes of large files; of
    the small ones, which are read for it, it says Git's.
    """
    try:
        return _look_up(name, revision)
    except HubRefusal as refusal:
        return {"refused": refusal.refused, "sentence": str(refusal)}
    except Broken as broken:
        sentence = f"{endpoint()} can't be reached ({broken}); check the network of the machine where realignd runs"
        return {"refused": "unreachable", "sentence": sentence}
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return {"refused": "damaged", "sentence": f"what {endpoint()} says of {name} is no description of a model"}


def _look_up(name: str, revision: str) -> Mapping[str, Any]:
    path = f"/api/models/{quote(name)}/revision/{quote(revision or 'main', safe='')}?blobs=true"
    description = _document(_whole(path, name, DESCRIPTION_BYTES), name)
    commit = str(description.get("sha", ""))
    listed = cast("list[Sibling]", description.get("siblings") or [])
    siblings = [one for one in listed if is_read(str(one.get("rfilename", "")))]
    if len(siblings) > MOST_FILES:
        raise HubRefusal("missing", f"{name} has more than {MOST_FILES} files of weights, which no model has")
    parts = [str(one["rfilename"]) for one in siblings if is_weights(one["rfilename"])]
    if not _COMMIT.fullmatch(commit) or not parts or all(one["rfilename"] != "config.json" for one in siblings):
        raise HubRefusal(
            "missing",
            f"{name} has no weights that realign can use on the hub: it needs a config.json and {WEIGHTS}; choose a "
            "repository with safetensors, such as one of mlx-community",
        )
    files, small = _listed(name, commit, siblings)
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(AT_ONCE) as pool:
        heads = list(pool.map(partial(_head, name, commit, Path(scratch)), parts))
        config = _document(small["config.json"], name)
        try:
            weights = weigh(heads, config)
        except (ValueError, KeyError, TypeError) as error:
            raise HubRefusal("damaged", f"the weights of {name} on the hub can't be read ({error})") from error
    return {
        "name": _spelled(name, str(description.get("id", ""))),
        "revision": commit,
        "files": files,
        "params": weights.params,
        "active_params": weights.active_params,
        "bits": weights.bits,
        "templates": str(config.get("realign_templates", "standard")),
    }


def _listed(name: str, commit: str, siblings: Sequence[Sibling]) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """The files, and the contents of those that had to be read."""
    files: list[dict[str, Any]] = []
    small: dict[str, bytes] = {}
    for one in siblings:
        file, size_bytes = str(one["rfilename"]), int(one.get("size") or 0)
        sha256 = str(cast("Sibling", one.get("lfs") or {}).get("sha256", ""))
        if not sha256 or file == "config.json":
            data = small[file] = _whole(path_of(name, commit, file), name, SMALL_BYTES)
            size_bytes = size_bytes or len(data)
            if not sha256 and one.get("blobId") and _git_hash(data) != one["blobId"]:
                raise HubRefusal("damaged", f"{file} of {name} came from the hub damaged; try again")
            sha256 = sha256 or hashlib.sha256(data).hexdigest()
        files.append({"name": file, "sha256": sha256, "size_bytes": size_bytes})
    return files, small


def _whole(path: str, model: str, most_bytes: int) -> bytes:
    with asked(path, model=model) as answer:
        data = _read(answer, most_bytes + 1)
    if len(data) > most_bytes:
        raise HubRefusal("missing", f"{model} has a small file or a description of more than {most_bytes} bytes")
    if answer.size_bytes not in (None, len(data)):
        raise Broken("it broke off")
    return data


def _read(answer: Answer, most_bytes: int) -> bytes:
    pieces: list[bytes] = []
    while most_bytes and (data := answer.read(most_bytes)):
        pieces.append(data)
        most_bytes -= len(data)
    return b"".join(pieces)


def _head(name: str, commit: str, folder: Path, part: str) -> Path:
    """A file that begins as the part does, with its whole header in it and no weights."""
    path, file = path_of(name, commit, part), folder / part
    wanted = HEAD_BYTES
    while True:
        with asked(path, model=name, start=0, end=wanted) as answer:
            data = _read(answer, wanted)
        needed = 8 + int.from_bytes(data[:8], "little")  # the format's first field is the length of the header
        if needed <= len(data) or needed > MAX_HEADER_BYTES:
            file.write_bytes(data[:needed])
            return file
        if needed <= wanted:
            raise Broken("it broke off")
        wanted = needed


def _document(data: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise HubRefusal("damaged", f"what the hub says of {name} is no JSON; try again") from error
    if not isinstance(found, dict):
        raise HubRefusal("damaged", f"what the hub says of {name} is no description of a model; try again")
    return cast("dict[str, Any]", found)


def _git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _spelled(asked_for: str, said: str) -> str:
    """The name as the hub writes it; a repository that was renamed keeps the name that it was asked for by."""
    return said if said.lower() == asked_for.lower() else asked_for
