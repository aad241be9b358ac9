"""A workflow in small for jobs of simulated daemons: drafts, then a check of every draft; every unit gives a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.export import row_id
from realign_daemon.curation.material import Material, Row
from realign_daemon.curation.stages.measures import Measures, rate
from realign_daemon.curation.stages.work import Work
from realign_daemon.engine.api import Generate, Message, ModelId, Sampler
from realign_daemon.testing.virtual_daemon import MODEL
from realign_daemon.work.units import UnitKey, make_unit
from realign_planner.data_types import DataType
from realign_planner.gates import Measure
from realign_planner.workflow import for_type

DATA_TYPE: DataType = "sft"
FIRST, LAST = (stage.name for stage in for_type(DATA_TYPE).stages[:2])
PILOT_UNITS = 1
SOURCE = {"name": "a.txt", "sha256": "5a" * 32, "section": ""}


def task(said: str) -> Generate:
    return Generate(
        model=ModelId(MODEL.model),
        messages=(Message(role="user", content=said),),
        sampler=Sampler(max_tokens=8),
        seed=0,
        template="t@1",
    )


def drafts(request: str) -> list[Generate]:
    """What the first stage of a job asks; a request is `<name> <units>`."""
    name, count = request.split()
    return [task(f"{name} {number}") for number in range(int(count))]


def drafted(request: str) -> frozenset[UnitKey]:
    """The units of these."""
    return frozenset(make_unit(one).key for one in drafts(request))


def units_of(request: str) -> int:
    """How many units its job has: a check for every draft."""
    return 2 * len(drafts(request))


def drafts_of(desk: Any) -> list[Generate]:
    return drafts(desk.spec.request)[: PILOT_UNITS if desk.is_pilot else None]


async def draft(desk: Desk, material: Material) -> Measures:
    material.exhibits[FIRST] = [{"text": one.text} for one in await desk.generate("target", drafts_of(desk)) if one]
    return good(FIRST)


async def check(desk: Desk, material: Material) -> Measures:
    checks = [
        task(f"check {number} {shown['text']} of {desk.spec.request}")
        for number, shown in enumerate(material.exhibits[FIRST])
    ]
    found = await desk.generate("target", checks)
    units = [desk.made(one).key for one in (*drafts_of(desk), *checks)]
    texts = [*("draft" for _ in drafts_of(desk)), *(one.text if one else "" for one in found)]
    material.rows = [row(unit, text, number) for number, (unit, text) in enumerate(zip(units, texts, strict=True))]
    return good(LAST)


def row(unit: UnitKey, text: str, number: int) -> Row:
    fields = {"prompt": str(number), "completion": text}
    provenance: dict[str, Any] = {"source": SOURCE, "spans": [], "question": str(number), "unit": unit}
    return Row(fields={"id": row_id(fields), **fields}, provenance=provenance, is_held_out=False)


def good(stage: str) -> Measures:
    found = for_type(DATA_TYPE).stage(stage)
    assert found is not None
    return {metric: measure(metric) for metric in found.gates}


def measure(metric: str) -> Measure:
    if metric == "quality_score":
        return Measure(metric=metric, value=10.0, n=1000, low=9.9, high=10.0)
    return rate(metric, 0 if metric == "truncated_fraction" else 1000, 1000)


async def enter(desk: Desk, material: Material) -> str:
    raise AssertionError("the small jobs bring no data")


WORK: Mapping[DataType, Work] = {DATA_TYPE: Work(stages={FIRST: draft, LAST: check}, enter=enter)}
