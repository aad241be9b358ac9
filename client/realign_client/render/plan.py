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
    groups = {model["name"]: model["group"] for model in document.get("models") or () if model.get("group")}
    for name, group in groups.items():
        lines += ["", *_group(name, group)]
    if document.get("training"):
        lines += ["", _training(document["training"])]
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


def _group(name: str, group: Mapping[str, Any]) -> list[str]:
    """Who holds which part of a model, and what a step of all of them is assumed to cost."""
    rows = [
        (
            str(rank["rank"]),
            rank["node"],
            f"{rank['share']:.1%}",
            f"{rank['layers'][0]}-{rank['layers'][1]}",
            size(rank["bytes"]),
        )
        for rank in group["ranks"]
    ]
    step, link = group["step"], group["link"]
    parts = "a part of every layer each" if group["parallelism"] == "tensor" else "whole layers each, in turn"
    whole, compute, message = (
        f"{seconds * 1e3:.3g} ms"
        for seconds in (step["compute_s"] + step["waiting_s"], step["compute_s"], step["message_s"])
    )
    basis = "measured" if link["basis"] == "measured" else "assumed, not measured"
    network = f"{link['latency_s'] * 1e6:.0f} us and {size(link['bytes_per_s'])}/s, {basis}"
    messages = f"{step['collectives']} messages of {message} (link: {network})"
    return [
        f"{name} on one group over {group['backend']}, {parts} ({group['parallelism']}): "
        + rate(group["examples_per_s"]),
        *table(("RANK", "NODE", "SHARE", "LAYERS", "MEMORY"), rows, right=(0, 2, 3, 4)),
        f"a token of {step['batch_size']} sequences takes {whole}: {compute} of compute, {messages}",
    ]


def _training(training: Mapping[str, Any]) -> str:
    """Who trains, and how long it should take."""
    alone, group_s = duration(training["alone_s"]), training["group_s"]
    who = ", ".join(training["nodes"])
    if training["backend"]:
        how = f"as one group over {training['backend']}, {duration(group_s)} instead of {alone} alone"
    else:
        how = f"alone, {alone}"
    return f"training on {who} {how}: {training['because']}"


def _section(title: str, texts: Any) -> list[str]:  # noqa: ANN401 - a list of texts from a document
    return ["", *(f"{title}: {text}" for text in texts)] if texts else []
