"""Chaos: real daemons are killed, frozen, cut off and starved, and what they promised is checked from outside.

`python -m tests.chaos [SCENARIO …]` prints one line of JSON for each scenario and exits 1 if a promise was broken.
`late` lists figures above their targets; they count on an idle machine only and do not change the exit code.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tests.chaos import failover, full_disk, groups, lan, namespaces, soak, storm, torn
from tests.chaos.outcome import NotInTime, Outcome
from tests.chaos.setting import Setting

INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What can be run, and how long it is by itself."""

    run: Callable[[Setting], Coroutine[Any, Any, Outcome]]
    rounds: int
    nodes: int = 3
    needs_namespaces: bool = False


SCENARIOS = {
    "storm": Scenario(run=storm.run, rounds=25),
    "failover": Scenario(run=failover.run, rounds=10),
    "groups": Scenario(run=groups.run, rounds=7),
    "lan": Scenario(run=lan.run, rounds=6, needs_namespaces=True),
    "torn": Scenario(run=torn.run, rounds=4, needs_namespaces=True),
    "disk": Scenario(run=full_disk.run, rounds=3, nodes=1, needs_namespaces=True),
    "soak": Scenario(run=soak.run, rounds=1),
}


def main() -> None:
    """Runs what was asked for, in a world of its own where the machine has one to give."""
    given = _arguments()
    if not given.inside and namespaces.are_there():
        sys.exit(namespaces.run_inside([sys.executable, "-m", "tests.chaos", "--inside", *sys.argv[1:]]))
    signal.signal(signal.SIGTERM, _interrupt)
    code = 0
    try:
        for name in given.scenario or SCENARIOS:
            outcome = _run(name, given)
            sys.stdout.write(outcome.line() + "\n")
            sys.stdout.flush()
            code |= bool(outcome.violations)
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


def _run(name: str, given: argparse.Namespace) -> Outcome:
    scenario = SCENARIOS[name]
    rounds = given.rounds or scenario.rounds
    if scenario.needs_namespaces and not given.inside:
        reason = "needs Linux, unshare and ip, and leave to use them"
        return Outcome(scenario=name, seed=given.seed, rounds=0, skipped=reason)
    began_s = time.monotonic()

    def tell(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began_s:7.1f} s {text}\n")

    tell(f"{name}, seed {given.seed}")
    folder = Path(tempfile.mkdtemp(prefix=f"realign-chaos-{name}-"))
    setting = Setting(
        name=name,
        seed=given.seed,
        rounds=rounds,
        nodes=min(given.nodes, scenario.nodes),
        minutes=given.minutes,
        sums=given.sums,
        folder=folder,
        tell=tell,
    )
    is_kept = True
    try:
        outcome = asyncio.run(scenario.run(setting))
        is_kept = given.keep or bool(outcome.violations)
    except NotInTime as late:
        outcome = Outcome(scenario=name, seed=given.seed, rounds=rounds, violations=(str(late),))
    except KeyboardInterrupt:
        is_kept = given.keep
        raise
    finally:
        if is_kept:
            tell(f"what it left is in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "scenario", nargs="*", metavar="SCENARIO", choices=[*SCENARIOS, []], help=f"of {', '.join(SCENARIOS)}; else all"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--rounds", type=int, default=0, help="blows, cuts or fillings; each scenario has its own default"
    )
    parser.add_argument("--nodes", type=int, default=3, choices=(2, 3))
    parser.add_argument("--minutes", type=float, default=20.0, help="of the soak")
    parser.add_argument("--sums", type=int, default=60, help="in the source of each job: how large the jobs are")
    parser.add_argument("--keep", action="store_true", help="what the daemons left, also when all went well")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
