"""How long `realignctl status` takes from a cold start against a daemon on this machine; its limit is 0.3 s.

`python bench/status_cold_start.py` prints one JSON document; `ratio` is the median over the limit, `floor_s` what
starting Python and importing gRPC alone takes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from realign_client.daemon_process import DaemonProcess

RUNS = 15
LIMIT_S = 0.3


def median_s(command: list[str], environment: dict[str, str]) -> float:
    """The median wall time of a command."""
    times: list[float] = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Starts a daemon, asks it, prints the figures."""
    with tempfile.TemporaryDirectory() as name:
        settings = {"REALIGN_BENCHMARK__ON_START": "false", "REALIGN_DATA_DIR": name}
        with DaemonProcess(Path(name), "--no-discovery", environment=settings) as daemon:
            daemon.wait_until_ready()
            client = str(Path(sys.executable).with_name("realignctl"))
            status_s = median_s([client, "status"], {**os.environ, **settings})
            floor_s = median_s([sys.executable, "-c", "import grpc"], dict(os.environ))
    figures = {"median_s": status_s, "floor_s": floor_s, "limit_s": LIMIT_S, "ratio": status_s / LIMIT_S}
    rounded = {key: round(value, 3) for key, value in figures.items()}
    print(json.dumps({"benchmark": "status_cold_start", "runs": RUNS, **rounded}))


if __name__ == "__main__":
    main()
