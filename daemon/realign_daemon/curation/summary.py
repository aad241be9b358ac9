"""Summary: what a job did, as the document that summary.json holds. Every figure in it is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from realign_planner.data_types import TITLES, DataType
from realign_planner.gates import Verdict, worst

Distribution = Literal["single_machine", "independent_batches", "sharded"]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeWork:
    """What one node did for the job. examples_per_s is over the time in which it had work; None before the first."""

    name: str
    units: int
    examples: int
    examples_per_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How the job ran. Throughput counts what engines did (a score is an example) over the job's running time."""

    machines: tuple[str, ...]  # names, the largest share first
    batch_size: int | None  # of the first machine
    distribution: Distribution | None
    examples_processed: int
    running_s: float  # without pauses
    node_s: float  # running time summed over the machines
    nodes: tuple[NodeWork, ...]

    @property
    def examples_per_s(self) -> float | None:
        """None for a job that took no time."""
        return self.examples_processed / self.running_s if self.running_s > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """What the machines drew, and how that is known."""

    joules: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where the rows are. examples counts training rows, held_out those of valid.jsonl."""

    path: str
    examples: int
    held_out: int


def summary_document(
    *,
    data_type: DataType,
    skill: str,
    stages_completed: int,
    verdicts: Sequence[Verdict],
    overrides: Mapping[str, str],
    reports: Mapping[str, float | None],
    performance: Performance,
    output: Output,
    usd_per_node_hour: float | None,
    predicted: Mapping[str, Any] | None,
    pilot: Mapping[str, Any] | None,
    coverage: Sequence[Document],
    self_test: Mapping[str, Any] | None,
    provenance: Mapping[str, Any],
    energy: Energy | None,
    warnings: Sequence[str] = (),
) -> Document:
    """The document, its fields in a fixed order.

    `overrides` are reasons by metric for gates that were let pass; `reports` are measures without a gate; `predicted`
    is that of the plan document. Tiers are as measured: an override does not change one.
    """
    tier = worst(verdicts)
    remedies = dict.fromkeys(verdict.remedy for verdict in verdicts if verdict.remedy)
    speed = performance.examples_per_s
    return {
        "workflow": {
            "data_type": TITLES[data_type],
            "skill_used": skill,
            "stages_completed": stages_completed,
            "quality_tier": tier,
            "recommendations": list(remedies),
        },
        "performance": {
            "machine": " + ".join(performance.machines),
            "batch_size": performance.batch_size,
            "distribution": performance.distribution,
            "examples_processed": performance.examples_processed,
            "throughput": None if speed is None else f"{speed:.2f} ex/s",
        },
        "quality": {
            **{verdict.metric: verdict.value for verdict in verdicts},
            **reports,
            "tier": tier,
        },
        "output": {
            "path": output.path,
            "format": "JSONL",
            "examples": output.examples,
            "held_out_examples": output.held_out,
        },
        "cost": _cost(performance, output.examples, usd_per_node_hour),
        "plan": _plan(predicted, pilot, performance),
        "gates": [gate_document(verdict, overrides) for verdict in verdicts],
        "warnings": list(warnings),
        "nodes": [
            {
                "name": node.name,
                "units": node.units,
                "examples": node.examples,
                "examples_per_s": node.examples_per_s,
            }
            for node in performance.nodes
        ],
        "coverage": list(coverage),
        "self_test": None if self_test is None else dict(self_test),
        "provenance": dict(provenance),
        "energy": None if energy is None else {"joules": energy.joules, "basis": energy.basis},
    }


def duration(seconds: float) -> str:
    """Seconds for people in at most two units: "45s", "3m 20s", "1h 5m", "2d 3h"."""
    total = round(seconds)
    for name, size, smaller, smaller_size in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60), ("m", 60, "s", 1)):
        if total >= size:
            rest = total % size // smaller_size
            return f"{total // size}{name} {rest}{smaller}" if rest else f"{total // size}{name}"
    return f"{total}s"


def _cost(performance: Performance, examples: int, usd_per_node_hour: float | None) -> Document:
    node_hours = performance.node_s / 3_600
    if usd_per_node_hour is None:
        each, basis = None, "no price is set: give [cost] usd_per_node_hour in the configuration"
    elif examples == 0:
        each, basis = None, f"no example was made in {node_hours:.3f} node hours at ${usd_per_node_hour:g} each"
    else:
        each = _dollars(node_hours * usd_per_node_hour / examples)
        basis = f"{node_hours:.3f} node hours at ${usd_per_node_hour:g} each, over {examples} examples"
    return {
        "compute_time": duration(performance.running_s),
        "cost_per_example": each,
        "node_hours": node_hours,
        "basis": basis,
    }


def _dollars(amount: float) -> str:
    """Four places, and for less than the last of them two digits that count."""
    return f"${amount:.4f}" if amount == 0 or amount >= 0.0001 else f"${amount:.2g}"  # noqa: PLR2004


def _plan(predicted: Mapping[str, Any] | None, pilot: Mapping[str, Any] | None, performance: Performance) -> Document:
    """Prediction beside outcome; an error of 0.25 says that it took, or gave, a quarter more than predicted."""
    actual = {"makespan_s": performance.running_s, "examples_per_s": performance.examples_per_s}
    expected = predicted or {}
    error = {
        f"{key}_fraction": None if not expected.get(key) or value is None else value / float(expected[key]) - 1
        for key, value in actual.items()
    }
    after_pilot = None if pilot is None else {"makespan_s": pilot["took_s"] + pilot["eta_s"]}
    return {
        "predicted": None if predicted is None else dict(predicted),
        "predicted_by_pilot": after_pilot,
        "actual": actual,
        "error": error,
    }


def gate_document(verdict: Verdict, overrides: Mapping[str, str]) -> Document:
    """A verdict as summary.json shows it, with the reason where the user let the gate pass."""
    document = {
        "stage": verdict.stage,
        "metric": verdict.metric,
        "tier": verdict.tier,
        "value": verdict.value,
        "low": verdict.low,
        "high": verdict.high,
        "n": verdict.n,
        "undecided": verdict.undecided,
        "remedy": verdict.remedy,
    }
    reason = overrides.get(verdict.metric)
    return document if reason is None else {**document, "overridden_because": reason}
