"""What an interpreter says of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

from realign_daemon.host.interpreter import describe_interpreter


def test_an_interpreter_says_the_same_when_it_is_asked_from_outside_and_loads_no_mlx_for_it() -> None:
    script = (
        "import sys, runpy; runpy.run_module('realign_daemon.host.interpreter', run_name='__main__'); "
        "sys.exit('mlx' in sys.modules)"
    )
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    said = json.loads(describe_interpreter())

    assert json.loads(asked.stdout) == said
    assert said["mlx"] == version("mlx")
