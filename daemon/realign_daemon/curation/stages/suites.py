"""Suites: fixed questions with known answers, asked before and after training: what it could do, it still can."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.metrics.learning import paired_changes
from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.stages import measures
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Generate, Message, Sampler, Sha256
from realign_planner import gates
from realign_planner.gates import Measure

TEMPLATE = "suite@1"
# For targets that bring no suites of their own.
STANDARD_SUITES = Path(__file__).parents[1] / "suites" / "standard.jsonl"


async def monitor_regression(desk: Desk, material: Material) -> Measures:
    """Stage 7. Measures regression: the paired change of the suite that does worst, items answered right being 1.

    Reports the change of every suite.
    """
    desk.say("asking the regression suites again")
    after = await run(desk, adapter=material.adapter)
    found: Measures = {}
    changes: list[Measure] = []
    for suite, before in sorted(material.suites_before.items()):
        measure = await measures.mean(desk, "regression", paired_changes(before, after[suite]))
        found |= exact(f"change_{suite}", measure.value, measure.n)
        changes.append(measure)
    return found | {"regression": worst(changes, desk.spec.gate_settings)}


def worst(changes: Sequence[Measure], settings: Mapping[str, str]) -> Measure:
    """The change that a gate should see: one that it rejects, else the one that may have fallen furthest.

    A suite without any measured item may have fallen as far as can be. Nothing to measure when there are no suites.
    """

    def rank(measure: Measure) -> tuple[bool, float]:
        is_rejected = gates.judge("monitor_regression", measure, overrides=settings).tier == "REJECT"
        return not is_rejected, -math.inf if measure.low is None else measure.low

    return min(changes, key=rank, default=Measure(metric="regression", value=None, n=0))


async def run(desk: Desk, *, adapter: Sha256 | None) -> dict[str, list[float | None]]:
    """For each suite, 1 or 0 an item in its fixed order: whether the greedy answer is right; None when given up.

    A pilot trains nothing, so it asks nothing.
    """
    if desk.is_pilot:
        return {}
    items = [json.loads(line) for line in desk.blobs.read(desk.spec.suites).decode().splitlines()]
    sampler = Sampler(temperature=0.0, max_tokens=load(desk.pin("target").templates).suite_max_tokens)
    tasks = [
        Generate(
            model=desk.pin("target").model,
            adapter=adapter,
            messages=tuple(Message(role=m["role"], content=m["content"]) for m in item["messages"]),
            sampler=sampler,
            seed=0,
            template=TEMPLATE,
        )
        for item in items
    ]
    results = await desk.generate("target", tasks)
    by_suite: dict[str, list[float | None]] = defaultdict(list)
    for item, result in zip(items, results, strict=True):
        right = None if result is None else float(normalise(result.text) == normalise(item["answer"]))
        by_suite[item["suite"]].append(right)
    return dict(by_suite)
