"""The processes that compare formulas: any thread may ask, what hangs is killed, what dies is replaced."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from realign_daemon.curation.verify.math_check import verify_math
from realign_daemon.curation.verify.math_pool import MathChecker, MathPool
from realign_daemon.worker.supervisor import Worker

# Expanding either takes more than a million terms.
ENDLESS = ("\\frac{(2x+2y+2z+2a+2b+2c)^{40}}{2^{40}}", "(x+y+z+a+b+c)^{40}")


@pytest.fixture
def checker() -> Iterator[MathChecker]:
    made = MathChecker()
    yield made
    made.close()


def test_a_check_that_hangs_is_killed_at_its_deadline_and_the_next_one_works(checker: MathChecker) -> None:
    assert checker.check("1", "1", timeout_s=5.0) == "correct"
    before = checker.pid
    begun = time.monotonic()
    assert checker.check(*ENDLESS, timeout_s=1.0) == "timeout"
    assert time.monotonic() - begun < 5.0
    assert checker.check("2", "1", timeout_s=5.0) == "wrong"
    assert checker.pid not in {None, before}


def test_a_process_that_was_killed_meanwhile_is_replaced(checker: MathChecker) -> None:
    assert checker.check("1", "1", timeout_s=5.0) == "correct"
    assert checker.pid is not None
    os.kill(checker.pid, signal.SIGKILL)
    assert checker.check("1", "1", timeout_s=5.0) == "correct"


def test_threads_that_ask_at_once_each_get_their_own_results() -> None:
    def ask(number: int) -> bool:
        items = [(str(number), str(other)) for other in range(20)]
        expected = ["correct" if number == other else "wrong" for other in range(20)]
        return pool.check_all(items, timeout_s=5.0) == expected

    pool = MathPool()
    try:
        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(ask, range(20)))
    finally:
        pool.close()


def test_a_batch_of_plain_answers_is_quick() -> None:
    verify_math([{"answer": "1", "gold": "1"}])
    begun = time.monotonic()
    results = verify_math([{"answer": str(number), "gold": "17"} for number in range(1_000)])
    assert results.count("correct") == 1
    assert time.monotonic() - begun < 5.0  # 0.3 s on an idle machine


async def test_the_worker_child_verifies_by_name() -> None:
    worker = Worker()
    try:
        items = [{"answer": "\\boxed{0.5}", "gold": "1/2"}, {"answer": "5", "gold": "?"}]
        results = await worker.call("verify.math.2", {"items": items, "timeout_s": 5.0}, timeout_s=60.0)
        assert results == ["correct", "gold_unparseable"]
        verdicts = await worker.call("verify.checkable.2", {"golds": ["7"], "timeout_s": 5.0}, timeout_s=60.0)
        assert verdicts == [{"checkable": True, "reason": ""}]
    finally:
        await worker.close()
