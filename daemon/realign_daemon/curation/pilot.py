"""Pilot: about twenty items through the stages before the training, so that a doomed job fails in minutes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from realign_daemon.curation.record import JobRecord
from realign_daemon.curation.run import Course, is_overridden, sentence
from realign_daemon.curation.summary import gate_document
from realign_planner import gates
from realign_planner.gates import Verdict
from realign_planner.pilot import Pace, forecast
from realign_planner.stage import Stage
from realign_planner.thresholds import threshold
from realign_planner.volume import Volume
from realign_planner.workflow import for_type

SHOWN_ROWS = 3
# No training, no loss; and all text is read in a pilot as later, so its gate is final.
NOT_IN_A_PILOT = frozenset({"training_loss"})

Document = dict[str, Any]


async def run_pilot(course: Course, *, volume: Volume, plan: Document) -> tuple[Document, tuple[Verdict, ...]]:
    """What the pilot found, and the gates that would surely reject the job; `volume` and `plan` are the whole job's.

    Gates are judged as if twenty items were enough, and stop the job only where the whole interval lies in REJECT.
    """
    desk, clock = course.desk, course.clock
    up_to = for_type(desk.spec.data_type).judged_by(len(desk.judges)).up_to(desk.spec.until)
    began = clock.unix()
    verdicts: list[Verdict] = []
    paces: dict[str, Pace] = {}
    blocking: tuple[Verdict, ...] = ()
    for stage in await course.begin([stage for stage in up_to if stage.pilot]):
        before = _busy(desk.record)
        without_training = replace(stage, gates=tuple(one for one in stage.gates if one not in NOT_IN_A_PILOT))
        found = await course.do(without_training)
        paces[stage.name] = _pace(stage, plan, before=before, after=_busy(desk.record))
        provisional = [_provisional(course, verdict) for verdict in found]
        verdicts += provisional
        blocking = tuple(one for one in provisional if gates.blocks_surely(one) and not is_overridden(one, desk))
        for verdict in provisional:
            course.announce("gate", f"pilot: {sentence(verdict)}")
        if blocking:
            break
    ahead = [stage for stage in up_to if desk.record.stage(stage.name).state != "skipped"]
    expected = forecast(ahead, volume=volume, predicted=plan["predicted"]["stages"], paces=paces)
    document: Document = {
        "items": len(course.material.prompts),
        "took_s": clock.unix() - began,
        "rows": _examples(course),
        "gates": [gate_document(verdict, desk.spec.overrides) for verdict in verdicts],
        "stages": list(expected.stages),
        "eta_s": expected.eta_s,
        "eta_basis": expected.basis,
        "rejects": [verdict.metric for verdict in blocking],
    }
    return document, blocking


Busy = dict[str, tuple[int, float]]  # examples that each node computed for the job, and the engine time they took


def _busy(record: JobRecord) -> Busy:
    return {node.node_id: (node.examples, node.busy_s) for node in record.nodes.values()}


def _pace(stage: Stage, plan: Document, *, before: Busy, after: Busy) -> Pace:
    """The stage's pace; where it asks several models, the engines of the one that has most count."""
    units = sum(count for count, _ in after.values()) - sum(count for count, _ in before.values())
    seconds = [busy_s - before.get(node, (0, 0.0))[1] for node, (_, busy_s) in after.items()]
    roles = {operation.role for operation in stage.operations}
    models = [model for model in plan["models"] if model["role"] in roles]
    return Pace(
        units=units,
        busy_s=sum(seconds),
        longest_s=max(seconds, default=0.0),
        engines=max([1, *(model["engines"] for model in models)]),
        slots=max([1, *(model["slots"] for model in models)]),
    )


def _provisional(course: Course, verdict: Verdict) -> Verdict:
    """The verdict as it would be if the sample were large enough, but for figures that small samples make worse."""
    limits = threshold(verdict.metric, course.desk.spec.gate_settings)
    if verdict.value is None or getattr(limits, "biased_when_few", False):
        return verdict
    measure = gates.Measure(
        metric=verdict.metric, value=verdict.value, low=verdict.low, high=verdict.high, n=max(verdict.n, 1)
    )
    lenient = {**course.desk.spec.gate_settings, f"{verdict.metric}.min_n": "1"}
    return gates.judge(verdict.stage, measure, overrides=lenient)


def _examples(course: Course) -> list[Document]:
    """A few things to look at: rows where the pilot made any, else what its last stage made."""
    rows = [row.fields for row in course.material.rows]
    last = next(reversed(course.material.exhibits.values()), list[Document]())
    return (rows or last)[:SHOWN_ROWS]
