"""A plan for a person. Pure: reads the document that `plan --json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from realign_client.render.figures import duration, number, rate, size
from realign_client.render.table import table

STRATEGIES = {
    "single_machine": "one machine",
    "independent_batches": "independent batches on each machine",
    "sharded": "one model sharded over the machines",
}


def plan_lines(document: Mapping[str, Any]) -> list[str]:
    """What would run where, how long it should take and why; or what does not fit and what would."""
    model = document["model"]
    lines = [
        f"{document['data_type']} ({document['skill']}), confidence {document['confidence']:.0%}",
        f"model {model['name']}, {number(model['params_b'])}B at {model['bits']} bits: {size(model['bytes'])}",
    ]
    if document["strategy"] is None:
        lines.append(f"nothing fits: one machine or group with {size(document['needs']['bytes'])} is needed")
    else:
        lines += _placement(document)
    lines += _section("why", document.get("reasons"))
    rejected = document.get("alternatives") or ()
    names = [f"{STRATEGIES.get(one['strategy'], one['strategy'])} on {', '.join(one['nodes'])}" for one in rejected]
    lines += _section("not", [f"{n}: {one['rejected_because']}" for n, one in zip(names, rejected, strict=True)])
    lines += [f"warning: {warning}" for warning in document.get("warnings") or ()]
    return lines


def _placement(document: Mapping[str, Any]) -> list[str]:
    backend = f" over {document['backend']}" if document.get("backend") else ""
    lines = [f"strategy {STRATEGIES.get(document['strategy'], document['strategy'])}{backend}", ""]
    rows = [(n["name"], f"{n['share']:.1%}", str(n["batch_size"])) for n in document["nodes"]]
    rows += [(name, "standby", "-") for name in document.get("standby") or ()]
    lines += table(("NODE", "SHARE", "BATCH"), rows, right=(1, 2))
    predicted = document.get("predicted")
    if predicted:
        lines += ["", f"predicted {rate(predicted['examples_per_s'])}, done in {duration(predicted['makespan_s'])}"]
        stages = [
            (
                stage["stage"],
                str(stage["units"]),
                str(stage["tokens"]),
                f"{duration(stage['low_s'])} to {duration(stage['high_s'])}",
                stage["basis"],
            )
            for stage in predicted["stages"]
        ]
        lines += table(("STAGE", "UNITS", "TOKENS", "TIME", "BASIS"), stages, right=(1, 2)) if stages else []
    return lines


def _section(title: str, texts: Any) -> list[str]:  # noqa: ANN401 - a list of texts from a document
    return ["", *(f"{title}: {text}" for text in texts)] if texts else []
