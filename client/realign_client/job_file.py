"""Job file: a job written down, as TOML or JSON with the options' names as keys, or as `show JOB --spec` prints it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from realign_client.errors import BadUsage
from realign_client.sources import SHARED
from realign_client.wish import Wish
from realign_proto.v1 import curation_pb2 as pb

TEXTS = ("request", "type", "model", "target", "generator", "until", "from_data", "append", "engine")
NUMBERS = ("bits", "count", "seed")
LISTS = ("source", "nodes", "exclude_node", "judge", "eval_set")
TABLES = ("set", "map", "thinking")
KEYS = (*TEXTS, *NUMBERS, *LISTS, *TABLES)
FIELD_OF_KEY = {
    "type": "data_type",
    "source": "sources",
    "exclude_node": "exclude_nodes",
    "set": "settings",
    "judge": "judges",
    "eval_set": "eval_sets",
    "map": "columns",
}
FILES = ("sources", "eval_sets")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFile:
    """What a file asks for. A frozen spec names its sources by content; the cluster still has their bytes."""

    wish: Wish
    spec_json: str = ""
    known_sources: tuple[pb.Source, ...] = ()


def read_job_file(path: Path) -> JobFile:
    """The job in the file. Relative sources are looked for beside the file.

    Raises:
        BadUsage: it cannot be read, has a key that no option has, or a value of the wrong kind.
    """
    try:
        text = path.read_text("utf-8")
        # No TOML document begins with a brace, so the content tells what the name may not.
        document: dict[str, Any] = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except OSError as error:
        raise BadUsage(f"the job file {path} cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise BadUsage(
            f"the job file {path} is neither TOML nor JSON ({error}); correct it or print a job's with show --spec"
        ) from error
    if "roles" in document:
        try:
            return _frozen(document)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadUsage(f"the spec in {path} is damaged ({error!r}); print it again with show --spec") from error
    for key, value in document.items():
        _check(path, key, value)
    given = {FIELD_OF_KEY.get(key, key): _as_field(key, value) for key, value in document.items()}
    for name in FILES:
        given |= {name: tuple(_beside(path, file) for file in given[name])} if name in given else {}
    given |= {"from_data": _beside(path, given["from_data"])} if "from_data" in given else {}
    return JobFile(wish=Wish(**given))


def gather(given: Wish, spec: str | None) -> JobFile:
    """The options filled up from the job file, where one is named. Raises BadUsage as `read_job_file` does."""
    if spec is None:
        return JobFile(wish=given)
    file = read_job_file(Path(spec).expanduser())
    return replace(file, wish=given.over(file.wish))


def _beside(job_file: Path, name: str) -> str:
    """The path of a file that is named relative to the job file; a file of a share is where it is."""
    return name if name.startswith(SHARED) else str(job_file.parent / Path(name).expanduser())


def _frozen(document: Mapping[str, Any]) -> JobFile:
    roles = cast("Mapping[str, Mapping[str, Any]]", document["roles"])
    names: dict[str, Any] = {role: str(roles[role]["name"]) for role in ("target", "generator") if role in roles}
    further = cast("list[Mapping[str, Any]]", document.get("judges") or [])
    judging = [roles["judge"]] if "judge" in roles else []
    names["judges"] = tuple(str(pin["name"]) for pin in (*judging, *further))
    names |= {key: document[key] for key in ("count", "seed", "until") if document.get(key) is not None}
    names |= {key: tuple(document[key]) for key in ("nodes", "exclude_nodes") if document.get(key)}
    sources = cast("list[Mapping[str, Any]]", document.get("sources") or [])
    return JobFile(
        wish=replace(Wish(request=str(document["request"]), data_type=str(document["data_type"])), **names),
        spec_json=json.dumps(document),
        known_sources=tuple(pb.Source(name=s["name"], sha256=s["sha256"], size_bytes=s["size_bytes"]) for s in sources),
    )


def _check(path: Path, key: str, value: object) -> None:
    if key in TEXTS:
        right, wanted = isinstance(value, str), "a text"
    elif key in NUMBERS:
        right, wanted = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    elif key in LISTS:
        items = cast("list[object]", value) if isinstance(value, list) else [value]
        right, wanted = all(isinstance(item, str) for item in items), "a list of texts"
    elif key in TABLES:
        right, wanted = isinstance(value, dict), "a table"
    else:
        raise BadUsage(f"the job file {path} has a key {key!r} that is no option; there are {', '.join(KEYS)}")
    if not right:
        raise BadUsage(f"{key} in the job file {path} is {value!r}; it must be {wanted}")


def _as_field(key: str, value: Any) -> Any:  # noqa: ANN401 - checked above
    if key == "nodes" and isinstance(value, str):
        return tuple(name.strip() for name in value.split(","))
    if key in LISTS:
        return (value,) if isinstance(value, str) else tuple(value)
    if key in TABLES:
        return {str(name): str(setting) for name, setting in value.items()}
    return value
