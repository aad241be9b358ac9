"""Entries: rows that somebody has come in where the plan says that they do."""

from __future__ import annotations

from typing import get_args

import pytest

from realign_daemon.curation.documents.reading import Reading
from realign_daemon.curation.material import Material
from realign_daemon.curation.run import WORK
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.engine.api import Sha256
from realign_daemon.testing.scripted_desk import ScriptedDesk
from realign_planner.data_types import DataType
from realign_planner.workflow import for_type

DATA = SourceSpec(name="d.jsonl", sha256=Sha256("d"), size_bytes=1)
NOTHING = Reading(
    name=DATA.name,
    sha256=DATA.sha256,
    page_count=1,
    pages_without_text=(),
    sections=(),
    characters=0,
    text_ratio=1.0,
    language="en",
    chunks=(),
)


@pytest.mark.parametrize("data_type", get_args(DataType))
async def test_given_rows_come_in_at_the_stage_that_the_plan_begins_with(data_type: DataType) -> None:
    desk = ScriptedDesk(
        lambda _: None, data_type=data_type, data=DATA, readings={DATA.name: NOTHING}, blobs={"suites": ""}
    )
    assert await WORK[data_type].enter(desk, Material()) == for_type(data_type).entry
