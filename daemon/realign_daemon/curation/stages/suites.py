"""Suites: fixed questions with known answers, asked before and after training: what it could do, it still can."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.stages import measures
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Generate, Message, Sampler, Sha256
from realign_planner.gates import Measure

TEMPLATE = "suite@1"
# For targets that bring no suites of their own.
STANDARD_SUITES = Path(__file__).parents[1] / "suites" / "standard.jsonl"


async def monitor_regression(desk: Desk, material: Material) -> Measures:
    """Stage 7. Measures regression: the paired change of the suite that fell most, items answered right being 1.

    Reports the change of every suite.
    """
    desk.say("asking the regression suites again")
    after = await run(desk, adapter=material.adapter)
    found: Measures = {}
    worst: Measure | None = None
    for suite, before in sorted(material.suites_before.items()):
        changes = [now - then for then, now in zip(before, after[suite], strict=True)]
        measure = await measures.mean(desk, "regression", changes)
        found |= exact(f"change_{suite}", measure.value, measure.n)
        if worst is None or (measure.value or 0.0) < (worst.value or 0.0):
            worst = measure
    return found | {"regression": worst or Measure(metric="regression", value=None, n=0)}


async def run(desk: Desk, *, adapter: Sha256 | None) -> dict[str, list[float]]:
    """For each suite, 1 or 0 an item in its fixed order: whether the greedy answer is the right one."""
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
    by_suite: dict[str, list[float]] = defaultdict(list)
    for item, result in zip(items, results, strict=True):
        right = result is not None and normalise(result.text) == normalise(item["answer"])
        by_suite[item["suite"]].append(1.0 if right else 0.0)
    return dict(by_suite)
