"""Data set card: the README.md of an output folder, for whoever finds the rows later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from realign_planner.data_types import TITLES, DataType
from realign_planner.gates import Verdict

_FORMATS: dict[DataType, str] = {
    "dpo": "`prompt`, `chosen`, `rejected`: the better and the worse of several answers to one prompt",
    "sft": "`messages`: a conversation to imitate",
    "rlvr": "`prompt`, `answer`, `answer_type`: a problem with an answer that can be checked",
    "antihallucination": "`messages`, `label`: an answer, or a refusal where the model does not know",
}
_ROWS = """\
{train_rows} for training (`train.jsonl`) and {valid_rows} held out (`valid.jsonl`), the latter from other sections of
the sources where these have several. Each has an `id`, the hash of its content, and {format}.

`provenance.jsonl` says for each id where in which source it comes from and what made it; `rejected.jsonl` holds what
was left out, and why."""


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
) -> str:
    """The card in Markdown, with the header that lets `datasets.load_dataset(FOLDER)` find the two splits.

    `templates` are versions by template; `rejected_reasons` has one entry for everything that did not become a row.
    """
    front = ["---", "configs:", "- config_name: default", "  data_files:"]
    for split, file, rows in (("train", "train.jsonl", train_rows), ("validation", "valid.jsonl", valid_rows)):
        front += [f"  - split: {split}", f"    path: {file}"] if rows else []
    parts = [
        "\n".join([*front, "---"]),
        f"# {_plain(name)}",
        f"{TITLES[data_type]} data made by realign {version} for the request:\n\n> {_plain(request)}",
        "## Rows",
        _ROWS.format(train_rows=train_rows, valid_rows=valid_rows, format=_FORMATS[data_type]),
        "## Sources",
        _table(("name", "SHA-256"), [(source.name, source.sha256) for source in sources]),
        "The rows quote and rephrase these sources: whatever licence they have holds for the rows.",
        "## Models and prompts",
        _table(("role", "model", "SHA-256"), [(model.role, model.name, model.sha256) for model in models]),
        "Prompt templates: " + ", ".join(f"`{template}@{number}`" for template, number in sorted(templates.items())),
        "## Quality",
        _table(("stage", "metric", "value", "95 % interval", "n", "tier"), [_verdict_row(one) for one in verdicts]),
    ]
    parts += [f"- {verdict.metric}: {_plain(verdict.remedy)}" for verdict in verdicts if verdict.remedy]
    parts += [f"- {metric} was let pass because: {_plain(reason)}" for metric, reason in sorted(overrides.items())]
    if rejected_reasons:
        counted = sorted(Counter(rejected_reasons).items(), key=lambda item: (-item[1], item[0]))
        parts += ["## Left out", _table(("reason", "count"), [(reason, str(count)) for reason, count in counted])]
    if has_adapter:
        parts += ["## Adapter", "`adapter/` holds the LoRA adapter that was trained on these rows, for `mlx_lm`."]
    return "\n\n".join(parts) + "\n"


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
