"""What a worker promises to whoever calls it, kept by the real one and by the one without a child."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from realign_daemon.curation.computations import Calls
from realign_daemon.testing.inline_worker import InlineWorker
from realign_daemon.worker.errors import WorkerRefused
from realign_daemon.worker.supervisor import Worker

CALM_S = 60.0
PERSONAL = "hygiene.personal_data"


@pytest.fixture(params=["child", "inline"])
async def worker(request: pytest.FixtureRequest) -> AsyncIterator[Calls]:
    if request.param == "inline":
        yield InlineWorker()
        return
    real = Worker()
    yield real
    await real.close()


async def test_a_registered_function_gives_plain_data(worker: Calls) -> None:
    found = await worker.call(PERSONAL, {"texts": ["ask ada@lovelace.org", "ask her"]}, timeout_s=CALM_S)
    assert found == [[{"kind": "email", "start": 4, "end": 20}], []]


async def test_what_a_function_raises_and_a_name_that_nobody_registered_are_refused(worker: Calls) -> None:
    with pytest.raises(WorkerRefused, match="TypeError"):
        await worker.call(PERSONAL, {"words": []}, timeout_s=CALM_S)
    with pytest.raises(WorkerRefused, match="no function of that name is registered"):
        await worker.call("lunch", {}, timeout_s=CALM_S)
