"""Documents of a report: which fields of a status, a job, a spec, a record and a log line are shown. Pure."""

from __future__ import annotations

import builtins
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, cast

from realign_client.report.redaction import (
    OMITTED,
    Aliases,
    Rule,
    count,
    digest,
    each,
    fields,
    length,
    number,
    setting,
    suffix,
    unnamed,
    values,
    word,
)

FIGURES = values(number)
STAGE: Mapping[str, Rule] = {
    **dict.fromkeys(("name", "title", "state"), word),
    **dict.fromkeys(("total", "done", "remembered", "retried", "quarantined", "part"), number),
    **dict.fromkeys(("computed", "trainings", "trained", "trained_before"), number),
    **dict.fromkeys(("started_unix_s", "ended_unix_s"), number),
    "units": FIGURES,
    "activity": length,
}
GATE: Mapping[str, Rule] = {
    **dict.fromkeys(("stage", "metric", "tier"), word),
    **dict.fromkeys(("value", "low", "high", "n", "undecided"), number),
}
PREDICTED = fields(
    {
        **dict.fromkeys(("examples_per_s", "makespan_s", "eta_s"), number),
        "stages": each(
            fields({"stage": word, "basis": word, **dict.fromkeys(("units", "tokens", "low_s", "high_s"), number)})
        ),
    }
)
LOG_FIGURES = (
    *("pid", "term", "self_leads", "gap_s", "led", "slept_s", "seconds", "rows", "results", "sources", "timeout_s"),
    *("retry_s", "size_bytes", "instance", "certificates", "port", "waited_s", "limit", "until_unix_s"),
)
LOG_WORDS = (
    "timestamp",
    "event",
    "level",
    "kind",
    "method",
    "function",
    "stage",
    "state",
    "data_type",
    "job",
    "version",
)

# A frame of a traceback in a package; the path before it names the user. An error is shown where its class is known.
_PACKAGE = r"realign_(?:daemon|client|proto|planner)|site-packages|python3\.\d+"
_FRAME = re.compile(rf'File "[^"]*/((?:{_PACKAGE})/[^"]+)", line (\d+), in (<?\w+>?)')
_ERROR = re.compile(r"^[\s|+-]*([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)
_KNOWN = sys.stdlib_module_names | {"realign_daemon", "realign_planner", "grpc", "google", "cattrs", "msgpack"}
_BUILT_IN = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type))


NODE = fields(
    {
        "settings": values(values(lambda value: number(value) if number(value) is not OMITTED else word(value))),
        "rows": FIGURES,
        **dict.fromkeys(("ledger_bytes", "ledger_schema"), number),
        **dict.fromkeys(("sqlite_version", "python_version", "system"), word),
    }
)


def status_rule(alias: Aliases) -> Rule:
    """A node's status."""
    benchmark = fields(
        {
            "gflops": FIGURES,
            "bandwidth_gbs": number,
            "measured_at": word,
            "version": word,
            "models": each(fields({"model": alias.model, "model_sha256": digest, "measured_at": word, **_SPEEDS})),
        }
    )
    engine = fields({"state": word, "model": alias.model, "pid": number, "rss_bytes": number, "last_error": length})
    power = fields({"source": word, "battery_fraction": number})
    model = fields({"name": alias.model, "sha256": digest, "weight_bytes": number, "params_b": number, "bits": number})
    facts = fields(
        {
            **dict.fromkeys(("version", "chip", "os"), word),
            **dict.fromkeys(("memory_bytes", "usable_bytes", "free_bytes", "cpu_cores", "gpu_cores"), number),
            **dict.fromkeys(("portable", "duty_fraction", "paused", "disk_free_bytes", "user_active"), number),
            "node_id": alias,
            "name": alias,
            "refusal": length,
            "power": power,
            "benchmark": benchmark,
            "engine": engine,
            "models": each(model),
        }
    )
    who: dict[str, Rule] = {"id": alias, "name": alias, "addresses": alias}
    job = {**dict.fromkeys(("id", "state", "stage"), word), **dict.fromkeys(_PROGRESS, number)}
    return fields(
        {
            "node": fields(
                {
                    **who,
                    **dict.fromkeys(("version", "chip"), word),
                    **dict.fromkeys(("protocol", "memory_bytes", "uptime_s"), number),
                    "roles": each(word),
                }
            ),
            "leader": fields({**who, "term": number, "since": word}),
            "members": each(fields({**who, "state": word, "last_seen_s": number, "version": word, "facts": facts})),
            "benchmark": benchmark,
            "engine": engine,
            "jobs": each(fields(job)),
            "ledger": FIGURES,
            "disk": FIGURES,
            "power": power,
        }
    )


def spec_rule(alias: Aliases) -> Rule:
    """A job's frozen spec: no request, no names of files, of nodes or columns, no settings in words."""
    pin = fields(
        {
            "name": alias.model,
            "model": digest,
            "templates": word,
            **dict.fromkeys(("params_b", "bits", "weight_bytes"), number),
        }
    )
    source = fields({"name": suffix, "size_bytes": number})
    return fields(
        {
            **dict.fromkeys(("job_id", "data_type", "skill", "until", "pilot", "realign_version"), word),
            **dict.fromkeys(("count", "seed", "passages", "created_unix_s"), number),
            **dict.fromkeys(("columns", "drops", "nodes", "exclude_nodes"), count),
            "request": length,
            "roles": values(pin),
            "judges": each(pin),
            "sources": each(source),
            "eval_sets": each(source),
            "data": source,
            "template_versions": values(word),
            "thinking": values(word),
            "settings": values(setting),
            "thresholds": values(setting),
            "overrides": values(length),
        }
    )


def record_rule(alias: Aliases) -> Rule:
    """How far a job is, as the ledger has it or as the wire does."""
    node = fields(
        {
            **dict.fromkeys(("node_id", "name"), alias),
            "state": word,
            **dict.fromkeys(("units", "examples", "examples_per_s", "busy_s"), number),
        }
    )
    return fields(
        {
            **dict.fromkeys(("id", "state", "data_type", "paused_by"), word),
            **dict.fromkeys(("started_unix_s", "ended_unix_s", "created_unix_s", "reused", "worked_s"), number),
            **dict.fromkeys(("eta_s", "examples_per_s", "exit_code", "trained_rows"), number),
            "home": alias,
            "stages": each(fields(STAGE)),
            "nodes": lambda value: (unnamed if isinstance(value, dict) else each)(node)(value),
            "gates": each(fields(GATE)),
            "reports": FIGURES,
            "warnings": each(length),
            "error": length,
            "predicted": PREDICTED,
            "actual": FIGURES,
            "plan": fields({"strategy": word, "backend": word, "predicted": PREDICTED}),
            "pilot": PREDICTED,
            "self_test": FIGURES,
        }
    )


def log_lines(text: str, alias: Aliases) -> Iterator[str]:
    """The lines of a log: of structured ones the fields that a list allows, of others their length."""
    rule = fields(
        {
            **dict.fromkeys(LOG_WORDS, word),
            **dict.fromkeys(LOG_FIGURES, number),
            **dict.fromkeys(("node", "home", "leader", "name", "address", "actor"), alias),
            "model": alias.model,
            "unit": digest,
            "exception": traceback_lines,
            **dict.fromkeys(("reason", "detail", "message", "cause", "error", "last_words"), length),
        }
    )
    for line in text.splitlines():
        document = _document(line)
        shown: Any = rule(document) if document is not None else traceback_lines(line) or length(line)
        yield json.dumps(shown)


def traceback_lines(text: object) -> object:
    """Where an exception came from, and its class: no message, and no path outside of the packages."""
    if not isinstance(text, str):
        return OMITTED
    frames = [f"{path}:{line} in {name}" for path, line, name in _FRAME.findall(text)]
    errors = [name for name in _ERROR.findall(text) if name in _BUILT_IN or _is_known(name)]
    return [*frames, *errors]


def _is_known(name: str) -> bool:
    package, _, rest = name.partition(".")
    return bool(rest) and package in _KNOWN


_SPEEDS: Mapping[str, Rule] = {
    **dict.fromkeys(("params_b", "bits", "prefill_tps", "decode_tps", "peak_batch_size"), number),
    **dict.fromkeys(("examples_per_s", "noisy"), number),
    "points": each(FIGURES),
}
_PROGRESS = ("stages_total", "units_done", "units_total", "examples_per_s", "eta_s")


def _document(line: str) -> dict[str, object] | None:
    try:
        found: Any = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None
