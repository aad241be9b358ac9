"""Math check: the worker functions that verify answers by mathematics, and say which golds can be verified at all."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import TypedDict

from realign_daemon.curation.verify.final import final_answer
from realign_daemon.curation.verify.math_pool import MathPool
from realign_daemon.curation.verify.notation import MAX_CHARACTERS
from realign_daemon.curation.verify.perturb import wrong_golds
from realign_daemon.curation.verify.result import Checkability, Result
from realign_daemon.curation.verify.text import answer_type, same_text

TIMEOUT_S = 5.0
MATHEMATICS = frozenset({"number", "expression"})  # kinds of golds
RUNS = 3  # see "verifiability" in the metrics: three runs agree
_pool_lock = threading.Lock()


class MathItem(TypedDict):
    """A solution or its final answer, and the reference one."""

    answer: str
    gold: str


def verify_math(items: Sequence[MathItem], timeout_s: float = TIMEOUT_S) -> list[Result]:
    """The result for each item, in order; the deadline is for each. Right only beyond doubt, see math_compare.py.

    Golds that are words or the letter of a choice are compared as such.

    Raises:
        NoMathChecker: the checking process does not start.
    """
    mathematics = [item for item in items if answer_type(item["gold"]) in MATHEMATICS]
    with _pool_lock:
        pool = _pool()
    checked = iter(
        pool.check_all([(_short(item["answer"]), _short(item["gold"])) for item in mathematics], timeout_s=timeout_s)
    )
    return [
        next(checked) if answer_type(item["gold"]) in MATHEMATICS else _compared(item["answer"], item["gold"])
        for item in items
    ]


def checkable(golds: Sequence[str], timeout_s: float = TIMEOUT_S) -> list[Checkability]:
    """For each gold: whether it can be read, verifies against itself and rejects near answers, three times alike.

    The runs are made by processes of their own with different hash seeds, which is what simplification may hang on.
    Golds that are words or letters are compared as such; code golds are for code_checkable.

    Raises:
        NoMathChecker: the checking process does not start.
    """
    mathematics = [gold for gold in dict.fromkeys(golds) if answer_type(gold) in MATHEMATICS]
    pairs = [(_short(answer), _short(gold)) for gold in mathematics for answer in (gold, *wrong_golds(gold))]
    with ThreadPoolExecutor(RUNS) as threads:
        runs = list(threads.map(partial(_run, pairs, timeout_s), range(RUNS)))
    results = dict(zip(pairs, zip(*runs, strict=True), strict=True))
    return [_verdict(gold, results) for gold in golds]


def _run(pairs: Sequence[tuple[str, str]], timeout_s: float, seed: int) -> list[Result]:
    pool = MathPool(size=1, hash_seed=seed)
    try:
        return pool.check_all(pairs, timeout_s=timeout_s)
    finally:
        pool.close()


def _verdict(gold: str, results: dict[tuple[str, str], tuple[Result, ...]]) -> Checkability:
    kind = answer_type(gold)
    if kind == "code":
        return {"checkable": False, "reason": "tests are checked by running them"}
    if not final_answer(gold):
        return {"checkable": False, "reason": "it is empty"}
    for answer in (gold, *wrong_golds(gold)):
        found = results[_short(answer), _short(gold)] if kind in MATHEMATICS else (_compared(answer, gold),)
        expected = "correct" if answer == gold else "wrong"
        if len(set(found)) > 1:
            return {"checkable": False, "reason": f"{len(found)} runs disagree on {answer!r}: {', '.join(found)}"}
        if found[0] != expected:
            return {"checkable": False, "reason": f"{answer!r} should be {expected} and is {found[0]}"}
    return {"checkable": True, "reason": ""}


def _compared(answer: str, gold: str) -> Result:
    """The result for a gold that is no mathematics."""
    if answer_type(gold) not in {"choice", "text"}:
        return "gold_unparseable"
    return "correct" if same_text(answer, gold) else "wrong"


def _short(text: str) -> str:
    """The final answer; of one that is too long to be read, just enough to be too long."""
    return final_answer(text)[: MAX_CHARACTERS + 1]


@lru_cache(maxsize=1)
def _pool() -> MathPool:
    return MathPool()
