"""Template set: all templates for one family of models, with its ways of chunking, sampling and training."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import cattrs

from realign_daemon.curation.documents.chunks import Chunking
from realign_daemon.curation.templates.refusal import Refusal
from realign_daemon.curation.templates.solving import Solving
from realign_daemon.curation.templates.template import MAY_LACK, PLACEHOLDERS, Template, TemplateError
from realign_daemon.engine.api import Message, Sampler, Slot, TrainSettings

T = TypeVar("T")

FOLDER = Path(__file__).parent
_converter = cattrs.Converter(forbid_extra_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSet:
    """How one family of models is asked, and what it is trained with by default."""

    name: str
    templates: tuple[Template, ...]
    chunking: Chunking
    temperatures: tuple[float, ...]  # of the responses to one prompt, one each
    lesson_temperature: float  # of the one answer that is to be learned
    no_question: str  # what the model writes when a chunk answers no question
    suite_max_tokens: int  # for an item of a regression suite
    sft: TrainSettings
    dpo: TrainSettings
    refusal: Refusal
    solving: Solving

    def has(self, name: str) -> bool:
        """Whether there is a template of that name: a set may lack some."""
        return any(template.name == name for template in self.templates)

    def template(self, name: str) -> Template:
        """The template of that name. Raises KeyError when the set has none."""
        return {template.name: template for template in self.templates}[name]

    def training(self, method: Literal["sft", "dpo"]) -> TrainSettings:
        """Default settings of a training run."""
        return self.sft if method == "sft" else self.dpo

    @property
    def versions(self) -> dict[str, str]:
        """The version of every template, by `set.name`."""
        return dict(template.id.split("@", 1) for template in self.templates)


@dataclass(frozen=True, slots=True, kw_only=True)
class _TemplateFile:
    version: int
    messages: tuple[Message, ...]
    sampler: Sampler = field(default_factory=Sampler)
    form: tuple[Slot, ...] = ()
    schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _SetFile:
    temperatures: tuple[float, ...]
    lesson_temperature: float
    no_question: str
    suite_max_tokens: int
    chunking: Chunking
    sft: TrainSettings
    dpo: TrainSettings
    refusal: Refusal
    solving: Solving


@cache
def load(name: str) -> TemplateSet:
    """The set of that name: "standard" for instruction models, "pocket" for the pocket model.

    Raises:
        TemplateError: there is no such set, or one of its files is wrong.
    """
    if name not in names():
        raise TemplateError(f"there is no template set {name!r}; there are {', '.join(names())}")
    return read_set(FOLDER / name)


def names() -> tuple[str, ...]:
    """The sets that ship with this version."""
    return tuple(sorted(file.parent.name for file in FOLDER.glob("*/set.toml")))


def read_set(folder: Path) -> TemplateSet:
    """The set in a folder: `set.toml`, and one file for every template that the workflows use, less what it may lack.

    Raises:
        TemplateError: a file is missing or wrong.
    """
    about = _read(folder / "set.toml", _SetFile)
    return TemplateSet(
        name=folder.name,
        templates=tuple(
            _template(folder, name)
            for name in PLACEHOLDERS
            if name not in MAY_LACK or (folder / f"{name}.toml").exists()
        ),
        chunking=about.chunking,
        temperatures=about.temperatures,
        lesson_temperature=about.lesson_temperature,
        no_question=about.no_question,
        suite_max_tokens=about.suite_max_tokens,
        sft=about.sft,
        dpo=about.dpo,
        refusal=about.refusal,
        solving=about.solving,
    )


def _template(folder: Path, name: str) -> Template:
    file = _read(folder / f"{name}.toml", _TemplateFile)
    return Template(
        name=name,
        id=f"{folder.name}.{name}@{file.version}",
        messages=file.messages,
        sampler=file.sampler,
        form=file.form,
        # In the file's order: an answer has its properties in the order of the schema.
        schema=None if file.schema is None else json.dumps(file.schema, ensure_ascii=False, separators=(",", ":")),
    )


def _read(path: Path, shape: type[T]) -> T:
    try:
        plain: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return _converter.structure(plain, shape)
    except OSError as error:
        raise TemplateError(f"{path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise TemplateError(f"{path} is not TOML: {error}") from error
    except cattrs.BaseValidationError as error:
        raise TemplateError(f"{path} is wrong: {'; '.join(cattrs.transform_error(error))}") from error
