"""Pause: the owner's word that this machine takes no work, for a time or until further notice. Outlives the daemon."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import cast

import structlog

from realign_daemon.clock import Clock
from realign_daemon.durable_file import flush_folder, replace_file

_log = structlog.get_logger()

FILE = "pause.json"


class Pause:
    """Counts on the continuous clock, so that no jump of the wall clock ends or lengthens it, and sleep counts.

    Only over a restart the wall clock is asked, and then no pause gets longer than its owner made it.
    """

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        """Takes up the pause that was left in the folder."""
        self._file, self._clock = data_dir / FILE, clock
        self._ends_at_s = self._clock.continuous() + self._kept_s()  # in the past where nothing was left

    @property
    def is_on(self) -> bool:
        """Whether it holds now."""
        return self._clock.continuous() < self._ends_at_s

    @property
    def left_s(self) -> float | None:
        """Seconds until it ends by itself; None when it lasts until somebody ends it, and when there is none."""
        left_s = self._ends_at_s - self._clock.continuous()
        return left_s if 0 < left_s < math.inf else None

    async def begin(self, seconds: float | None) -> None:
        """Holds from now on, for so long or until `end`; in place of one that holds. On disk when it returns."""
        lasts_s = math.inf if seconds is None else seconds
        kept = {"seconds": seconds, "until_unix_s": None if seconds is None else self._clock.unix() + seconds}
        await asyncio.to_thread(replace_file, self._file, json.dumps(kept).encode())
        self._ends_at_s = self._clock.continuous() + lasts_s

    async def end(self) -> None:
        """Holds no longer."""
        await asyncio.to_thread(self._forget)
        self._ends_at_s = -math.inf

    def _forget(self) -> None:
        self._file.unlink(missing_ok=True)
        flush_folder(self._file.parent)

    def _kept_s(self) -> float:
        """How long the pause left in the folder still lasts; not above zero without one."""
        try:
            kept = cast("dict[str, float | None]", json.loads(self._file.read_bytes()))
            seconds, until_unix_s = kept["seconds"], kept["until_unix_s"]
            if seconds is None or until_unix_s is None:
                return math.inf
            return min(float(seconds), float(until_unix_s) - self._clock.unix())
        except FileNotFoundError:
            return -math.inf
        except (ValueError, TypeError, KeyError) as error:
            _log.warning("pause.unreadable", file=str(self._file), reason=repr(error))
            return -math.inf
