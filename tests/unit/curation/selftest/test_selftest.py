"""Self-test: every kind of planted defect is found by the check that is there for it, and none in what is good."""

from __future__ import annotations

import pytest

from realign_daemon.curation.selftest.suite import DEFECTS, self_test
from realign_planner.data_types import DataType


@pytest.mark.parametrize("data_type", DEFECTS)
async def test_every_defect_is_detected_and_nothing_good_is(data_type: DataType, good_run) -> None:
    run = await good_run(data_type)
    for v in run.desk.record.gates:
        print(v.stage, v.metric, v.tier, v.value, v.low, v.high, v.n)
    print(len(run.material.rows), len(run.material.pairs))
    import time

    t = time.time()
    found = await self_test(run.desk, run.material, run.stages)
    print(time.time() - t)
    for d in found["defects"]:
        print(d)
    assert found["false_alarms"] == 0
    assert found["detection_rate"] == 1
