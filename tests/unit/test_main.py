"""How a daemon ends when a part of it fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CRASHES = """
import sys
from realign_daemon import main


class Node:
    async def run(self, _ready):
        raise ExceptionGroup("of a task group", [ZeroDivisionError("a defect")])


main._daemon = lambda _config: Node()
main.main(["--data-dir", sys.argv[1]])
"""


def test_a_defect_is_one_sentence_for_people_and_a_trace_in_the_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CRASHES, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = "realignd: a part of the daemon failed; realignd.log in the data directory has the details\n"
    assert (ended.returncode, ended.stderr) == (1, said)
    assert "ZeroDivisionError: a defect" in (tmp_path / "realignd.log").read_text()
