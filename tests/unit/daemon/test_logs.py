"""What reaches the log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog

from realign_daemon import logs

FULL = Path("/dev/full")  # a file on a disk without room


def test_what_people_wrote_never_reaches_the_log_file(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "realignd.log"
    with logs.set_up(file=file):
        structlog.get_logger().info("unit.failed", prompt="my diary", unit={"text": "my diary", "key": "k"}, node="n")
    structlog.reset_defaults()

    (line,) = file.read_text().splitlines()

    assert "diary" not in line
    fields = json.loads(line)
    assert (fields["event"], fields["prompt"], fields["unit"], fields["node"]) == (
        "unit.failed",
        "<8 hidden>",
        {"text": "<8 hidden>", "key": "k"},
        "n",
    )
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not FULL.exists(), reason="this system has no file that is always full")
def test_a_full_disk_costs_lines_of_the_log_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    with logs.set_up(file=FULL):
        for _ in range(3):
            structlog.get_logger().info("unit.failed", node="n")
    structlog.reset_defaults()
    assert capfd.readouterr() == ("", "")
