"""One round of `make chaos` between two hosts: Bonjour, certificates, a cable that is pulled, and a job meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
RUN_S = 300.0  # far above the 30 s that it takes: a busy machine is no defect


def test_nothing_is_lost_when_the_leader_s_cable_is_pulled_while_a_job_runs() -> None:
    command = [sys.executable, "-m", "tests.chaos", "lan", "--rounds", "1", "--nodes", "2", "--sums", "12"]

    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=RUN_S, check=False)

    outcome = json.loads(done.stdout)
    if outcome["skipped"]:
        pytest.skip(outcome["skipped"])
    assert outcome["violations"] == [], done.stderr
    assert done.returncode == 0, done.stderr
    assert outcome["figures"]["jobs"] == 1
    assert 0 < outcome["figures"]["noticed_p50_s"] < outcome["figures"]["failover_p50_s"]
