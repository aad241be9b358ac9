"""Request bounds: how much a request may ask for. What is larger is refused before anything is done about it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from realign_daemon.config import LimitsConfig
from realign_daemon.curation.intake import Request
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.errors import BadInput, Full

TEXT_CHARACTERS = 16_384  # a request is some sentences
NAME_CHARACTERS = 1_024  # of a model, node, stage, or a source, which may be named by its path
VALUE_CHARACTERS = 4_096  # of a setting: a system prompt is the longest
SETTINGS = 128  # in one table; there are about fifty thresholds and settings
NAMES = 256  # nodes or judges
SOURCES = 10_000
DROPS = 10_000  # conditions that a printed spec carries

_WORDS = ("data_type", "model", "target", "generator", "judge", "until", "pilot", "client_token", "output_hint")
_ENGINE = ("engine", "engine_model", "engine_templates")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_bounds(request: Request, limits: LimitsConfig) -> None:
    """Returns when the request is of a size that this node takes.

    Raises:
        Full: it asks for too much; the text says of what.
        BadInput: a source is not named by its content, where it has one.
    """
    _check_text("the request", request.text, TEXT_CHARACTERS)
    for field in (*_WORDS, *_ENGINE):
        _check_text(field, getattr(request, field), NAME_CHARACTERS)
    for field in ("nodes", "exclude_nodes", "judges"):
        _check_names(field, getattr(request, field), NAMES)
    _check_names("drops", request.drops, DROPS)
    for field in ("settings", "columns", "thinking", "thresholds", "overrides"):
        _check_table(field, getattr(request, field))
    _check_sources((*request.sources, *request.eval_sets, *((request.data,) if request.data else ())), limits)
    if request.earlier is not None and not _SHA256.fullmatch(request.earlier):
        raise BadInput("the rows that the spec appends to are not named by a SHA-256; name their job with --append")
    for setting, limit in (("count", "rows_per_job"), ("max_tokens", "tokens_per_answer")):
        text = request.settings.get(setting, "0")
        _check_most(setting, int(text) if text.isdecimal() else 0, getattr(limits, limit), limit)
    _check_most("count", request.count or 0, limits.rows_per_job, "rows_per_job")


def _check_text(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise Full(f"{what} has {len(text)} characters, and {most} are the most that a job takes; shorten it")


def _check_names(what: str, names: Sequence[str], most: int) -> None:
    if len(names) > most:
        raise Full(f"{len(names)} {what} are given, and {most} are the most that a job takes; give fewer")
    for name in names:
        _check_text(f"one of the {what}", name, NAME_CHARACTERS)


def _check_table(what: str, table: Mapping[str, str]) -> None:
    if len(table) > SETTINGS:
        raise Full(f"{len(table)} {what} are given, and {SETTINGS} are the most that a job takes; give fewer")
    for key, value in table.items():
        _check_text(f"a key of {what}", key, NAME_CHARACTERS)
        _check_text(f"{key} in {what}", value, VALUE_CHARACTERS)


def _check_sources(sources: Sequence[SourceSpec], limits: LimitsConfig) -> None:
    if len(sources) > SOURCES:
        raise Full(f"{len(sources)} sources are given, and {SOURCES} are the most that a job takes; split the job")
    for source in sources:
        _check_text("the name of a source", source.name, NAME_CHARACTERS)
        if source.size_bytes < 0 or (source.sha256 and not _SHA256.fullmatch(source.sha256)):
            raise BadInput(f"the source {source.name} is not named by a SHA-256 in lower-case hex; submit it as a file")
    size_bytes = sum({source.sha256: source.size_bytes for source in sources}.values())
    _check_most("bytes of sources", size_bytes, limits.source_bytes, "source_bytes")


def _check_most(what: str, asked: int, most: int, setting: str) -> None:
    if asked > most:
        raise Full(
            f"{asked} is more than the {most} that this node takes for {what}; ask for less or raise [limits] {setting}"
        )
