"""Wish: what a person asks for, from options and a job file, before anything is looked up or sent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from realign_client.errors import BadUsage
from realign_client.sources import SourceFile, collect, named_in
from realign_planner.data_types import DATA_TYPES, as_data_type
from realign_proto.v1 import curation_pb2 as pb

HIGHEST_COUNT = 2**32 - 1  # what the wire holds
HIGHEST_SEED = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A job as it was asked for. Empty means: not said."""

    request: str = ""
    sources: tuple[str, ...] = ()
    data_type: str = ""
    model: str = ""
    target: str = ""
    generator: str = ""
    judges: tuple[str, ...] = ()
    engine: str = ""
    engine_model: str = ""
    engine_templates: str = ""
    bits: int | None = None
    count: int | None = None
    seed: int | None = None
    nodes: tuple[str, ...] = ()
    exclude_nodes: tuple[str, ...] = ()
    until: str = ""
    eval_sets: tuple[str, ...] = ()
    from_data: str = ""
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    append: str = ""
    thinking: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    def over(self, other: Wish) -> Wish:
        """This wish, filled up from the other where this one does not say; tables are merged.

        A model for all roles leaves nothing of the other's models.
        """
        if self.model:
            other = replace(other, target="", generator="", judges=())
        said = {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if getattr(self, one.name) not in (None, "", (), {})
        }
        tables = {name: {**getattr(other, name), **getattr(self, name)} for name in ("settings", "columns", "thinking")}
        return replace(other, **said | tables)

    def checked(self) -> Wish:
        """The wish, its data type spelt as the cluster spells it.

        Raises:
            BadUsage: no request, an unknown data type, or a number out of range.
        """
        if not self.request.strip():
            raise BadUsage('say what you want, for example: realignctl submit "DPO pairs from book.pdf"')
        data_type = as_data_type(self.data_type) if self.data_type else ""
        if data_type is None:
            raise BadUsage(f"there is no data type {self.data_type!r}; choose one of {', '.join(DATA_TYPES)}")
        if self.count is not None and not 1 <= self.count <= HIGHEST_COUNT:
            raise BadUsage(f"--count is {self.count}; ask for at least 1 row and at most {HIGHEST_COUNT}")
        if self.bits is not None and self.bits < 1:
            raise BadUsage(f"--bits is {self.bits}; choose the bits of a weight, for example 4, 8 or 16")
        if self.seed is not None and not 0 <= self.seed <= HIGHEST_SEED:
            raise BadUsage(f"--seed is {self.seed}; choose zero or a positive number below 2^64")
        if not self.engine and (self.engine_model or self.engine_templates):
            raise BadUsage("--engine-model and --engine-templates say more about --engine; give its URL, too")
        return replace(self, data_type=data_type)

    def source_files(self) -> tuple[SourceFile, ...]:
        """The files that travel with the job: the sources given, else those that the request names.

        Raises:
            BadUsage: one of them is missing or unreadable, or none is of use.
        """
        return collect(self.sources or (() if self.from_data else named_in(self.request)))

    def data_file(self) -> SourceFile | None:
        """The file of rows to begin with. Raises BadUsage as source_files does."""
        return _one_file(self.from_data) if self.from_data else None

    def eval_files(self) -> tuple[SourceFile, ...]:
        """The files that no row may hold anything of. Raises BadUsage as source_files does; each must be of use."""
        files = collect(self.eval_sets)
        for file in files:
            if file.fault:
                raise BadUsage(file.fault)
        return files

    def message(self, *, assume_yes: bool = False, output_hint: str = "", pilot: str = "") -> pb.JobRequest:
        """The request as it travels, without sources, with a token that makes a repeated submit one job."""
        return pb.JobRequest(
            text=self.request,
            data_type=self.data_type,
            model=_as_daemons_know_it(self.model),
            target=_as_daemons_know_it(self.target),
            generator=_as_daemons_know_it(self.generator),
            judge=_as_daemons_know_it(self.judges[0]) if self.judges else "",
            judges=[_as_daemons_know_it(judge) for judge in self.judges[1:]],
            engine=self.engine,
            engine_model=self.engine_model,
            engine_templates=self.engine_templates,
            bits=self.bits,
            count=self.count,
            seed=self.seed,
            nodes=self.nodes,
            exclude_nodes=self.exclude_nodes,
            until=self.until,
            columns=dict(self.columns),
            append_job=self.append,
            thinking=dict(self.thinking),
            pilot=pilot,
            settings=dict(self.settings),
            client_token=uuid.uuid4().hex,
            assume_yes=assume_yes,
            output_hint=output_hint,
        )


def wish_of(options: Mapping[str, Any]) -> Wish:
    """The wish in the options of a command, by the names of its parameters; others are left alone.

    Raises:
        BadUsage: an option of the shape KEY=VALUE that is not.
    """
    return Wish(
        request=options["request"] or "",
        sources=tuple(options["source"] or ()),
        data_type=options["data_type"] or "",
        model=options["model"] or "",
        target=options["target"] or "",
        generator=options["generator"] or "",
        judges=tuple(options["judge"] or ()),
        engine=options["engine"] or "",
        engine_model=options["engine_model"] or "",
        engine_templates=options["engine_templates"] or "",
        bits=options["bits"],
        count=options["count"],
        seed=options["seed"],
        nodes=split_names(options["nodes"]),
        exclude_nodes=split_names(options["exclude_node"]),
        until=options["until"] or "",
        eval_sets=tuple(options["eval_set"] or ()),
        from_data=options["from_data"] or "",
        columns=read_pairs(options["columns"], option="--map"),
        append=options["append"] or "",
        thinking=read_pairs(options["thinking"], option="--thinking"),
        settings=read_pairs(options["settings"]),
    )


def split_names(given: Sequence[str] | None) -> tuple[str, ...]:
    """`--nodes A,B --nodes C` as three names."""
    return tuple(name.strip() for text in given or () for name in text.split(",") if name.strip())


def read_pairs(given: Sequence[str] | None, *, option: str = "--set") -> dict[str, str]:
    """`--set key=value`, and other options of that shape, as a mapping; the last one wins.

    Raises:
        BadUsage: there is no "=" in it, or nothing before it.
    """
    pairs: dict[str, str] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise BadUsage(f"{option} {text!r} is no setting; write it as KEY=VALUE")
        pairs[key.strip()] = value.strip()
    return pairs


def _one_file(path: str) -> SourceFile:
    files = collect((path,))
    if len(files) != 1:
        raise BadUsage(f"--from-data {path} is a folder of {len(files)} files; name one file")
    return files[0]


def model_folder(name: str) -> Path | None:
    """The folder that a model's name means on this machine, if it has a config.json."""
    folder = Path(name).expanduser()
    return folder if name and (folder / "config.json").is_file() else None


def _as_daemons_know_it(model: str) -> str:
    """A model's name; a folder goes by its own name, under which a daemon has it among its model folders."""
    folder = model_folder(model)
    return folder.resolve().name if folder else model
