"""Data set card: the README.md of an output folder, for whoever finds the rows later."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from realign_daemon.curation.formats.loading import LOADING
from realign_planner.data_types import TITLES, DataType
from realign_planner.gates import Verdict

_FORMATS: dict[DataType, str] = {
    "dpo": "`prompt`, `chosen`, `rejected`: the better and the worse of several answers to one prompt",
    "sft": "`messages`: a conversation to imitate",
    "rlvr": "`prompt`, a problem; `answer`, what to check by, and `answer_type`, how; `pass_rate`, the share of the "
    "target's samples that were right; `solution`, a right one of them, empty where none was; and for programs `tests`",
    "antihallucination": "`messages`, a question and what to say to it; `label`: `answer`, or `abstain` where the "
    "model does not know; and where pairs were asked for (`method=dpo`) `rejected`, what not to say",
}
_ROWS = """\
{train_rows} for training (`train.jsonl`) and {valid_rows} held out (`valid.jsonl`), the latter from other sections of
the sources where these have several. Each has an `id`, the hash of its content, and {format}.

`provenance.jsonl` says for each id where in which source it comes from and what made it; `rejected.jsonl` holds what
was left out, and why."""
_FURTHER = {
    "sharegpt.jsonl": "the training rows as ShareGPT conversations",
    "train.parquet": "the training rows as Parquet",
    "valid.parquet": "the held-out rows as Parquet",
}
_LICENCE = """\
The rows quote and rephrase these sources, so the licence of the sources holds for them, too. It is not known here:
whoever owns the sources decides on it."""
_LIMITS = """\
- Models wrote the rows and judged them; both can be wrong. The gates measure what the table above says, on so many
  samples as it says.
- Repeats and evaluation items are found by their words: a paraphrase passes.
- Personal data is found by its form (addresses, numbers, keys). Names of people are not looked for."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_FOLDERS = re.compile(r"(?<![\w:/\\.~])(?:file://)?(?:~|\.{1,2}|[A-Za-z]:)?[\\/](?:[^\s\\/]+[\\/])*(?=[^\s\\/])")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSource:
    """A source as the card names it."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardModel:
    """The model in a role, by the hash of its configuration and weights."""

    role: str
    name: str
    sha256: str


def data_set_card(
    *,
    name: str,
    data_type: DataType,
    request: str,
    version: str,
    train_rows: int,
    valid_rows: int,
    sources: Sequence[CardSource],
    models: Sequence[CardModel],
    templates: Mapping[str, str],
    verdicts: Sequence[Verdict],
    overrides: Mapping[str, str],
    rejected_reasons: Sequence[str],
    has_adapter: bool,
    trained_rows: int | None = None,
    warnings: Sequence[str] = (),
    hygiene: Mapping[str, int] | None = None,
    further: Sequence[str] = (),
) -> str:
    """The card in Markdown, under the header of a Hugging Face data set, by which `load_dataset` finds the splits.

    `templates` are versions by template; `rejected_reasons` has one entry for everything that did not become a row;
    `trained_rows` is how many rows the adapter was trained on, None for a baseline's;
    `hygiene` is that of `hygiene_report`; `further` are the files in other formats. No path of anybody's disk is in it.
    """
    parts = [
        _front_matter(name, data_type, train_rows, valid_rows),
        f"# {_plain(name)}",
        f"{TITLES[data_type]} data made by realign {version} for the request:\n\n> {_plain(_without_folders(request))}",
        "## Rows",
        _ROWS.format(train_rows=train_rows, valid_rows=valid_rows, format=_FORMATS[data_type]),
        *(["\n".join(f"- `{file}`: {_FURTHER[file]}" for file in further)] if further else []),
        "## Loading",
        LOADING[data_type],
        "## Sources",
        _table(("name", "SHA-256"), [(_without_folders(source.name), source.sha256) for source in sources]),
        _LICENCE,
        "## Models and prompts",
        _table(("role", "model", "SHA-256"), [(model.role, model.name, model.sha256) for model in models]),
        "Prompt templates: " + ", ".join(f"`{template}@{number}`" for template, number in sorted(templates.items())),
        "## Quality",
        _table(("stage", "metric", "value", "95 % interval", "n", "tier"), [_verdict_row(one) for one in verdicts]),
    ]
    parts += [f"- {verdict.metric}: {_plain(verdict.remedy)}" for verdict in verdicts if verdict.remedy]
    parts += [
        f"- {metric} was let pass because: {_plain(_without_folders(reason))}"
        for metric, reason in sorted(overrides.items())
    ]
    if warnings:
        parts += ["## Warnings", "\n".join(f"- {_plain(_without_folders(warning))}" for warning in warnings)]
    if hygiene is not None:
        counts = [(name.replace("_", " "), str(count)) for name, count in hygiene.items()]
        parts += ["## Hygiene", _table(("found", "count"), counts)]
    if rejected_reasons:
        counted = sorted(Counter(rejected_reasons).items(), key=lambda item: (-item[1], item[0]))
        parts += ["## Left out", _table(("reason", "count"), [(reason, str(count)) for reason, count in counted])]
    if has_adapter:
        parts += ["## Adapter", f"`adapter/` holds a LoRA adapter for `mlx_lm`. {_training(trained_rows, train_rows)}"]
    return "\n\n".join([*parts, "## Limits", _LIMITS]) + "\n"


def _front_matter(name: str, data_type: DataType, train_rows: int, valid_rows: int) -> str:
    """What the Hugging Face hub and `datasets` read, in YAML. A split without rows is none."""
    rows = train_rows + valid_rows
    lines = [
        f"pretty_name: {json.dumps(name)}",
        "license: unknown",
        "task_categories: [text-generation]",
        f"size_categories: ['{next((size for limit, size in _SIZES if rows < limit), 'n>1M')}']",
        f"tags: [realign, synthetic, {TITLES[data_type].lower()}]",
    ]
    splits = [("train", "train.jsonl", train_rows), ("validation", "valid.jsonl", valid_rows)]
    if rows:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        lines += [f"  - split: {split}\n    path: {file}" for split, file, count in splits if count]
    return "\n".join(["---", *lines, "---"])


def _training(trained_rows: int | None, train_rows: int) -> str:
    if trained_rows is None:
        return "It is that of the baseline, which was not trained on these rows."
    if trained_rows == train_rows:
        return f"It was trained on the {train_rows} rows of `train.jsonl`."
    return f"It was trained before rows were dropped by hand: on {trained_rows} rows, {train_rows} of which are here."


def _without_folders(text: str) -> str:
    """The text with every path cut down to the file's name: folders tell of a person and their disk."""
    return _FOLDERS.sub("", text)


def _verdict_row(verdict: Verdict) -> tuple[str, ...]:
    value = "not measured" if verdict.value is None else f"{verdict.value:.4g}"
    interval = "" if verdict.low is None or verdict.high is None else f"{verdict.low:.4g} to {verdict.high:.4g}"
    tier = f"{verdict.tier} (undecided)" if verdict.undecided else verdict.tier
    return verdict.stage, verdict.metric, value, interval, str(verdict.n), tier


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_plain(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(text: str) -> str:
    """One line that cannot break a table or start markup of its own."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())
