"""What libraries in C say on the standard error goes to a file; what the daemon says, to people."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys
from pathlib import Path
from realign_daemon.native_words import native_words_in

with native_words_in(Path(sys.argv[1])):
    sys.stderr.write("daemon\\n")
    os.write(2, b"library\\n")
    sys.stderr.write("daemon again\\n")
sys.stderr.write("daemon afterwards\\n")
os.write(2, b"library afterwards\\n")
"""


def test_libraries_speak_into_a_file_of_the_owner_until_the_daemon_ends(tmp_path: Path) -> None:
    file = tmp_path / "new" / "grpc.log"
    done = subprocess.run([sys.executable, "-c", PROGRAM, file], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.splitlines() == ["daemon", "daemon again", "daemon afterwards", "library afterwards"]
    assert file.read_text() == "library\n"
    assert file.stat().st_mode & 0o777 == 0o600
