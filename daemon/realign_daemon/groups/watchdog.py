"""Watchdog: whether all ranks of a group live and get on, judged by what was heard of them. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# A ring's ranks wait up to 31 s for each other, and JACCL's for ever; over loopback a group forms in 1 s.
FORMATION_S = 20.0
SILENCE_S = 4.0  # four beats
LEAST_STEP_S = 8.0
STEPS_PATIENCE = 5.0  # times the slowest step so far: a long prompt is one step
# A rank that lost its peer says so within 12 ms, and may be heard before the peer's own end is.
SETTLE_S = 0.7
AWAY_S = 2.0  # who looks several times a second and did not for so long was itself away, and judges nobody for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A group that is to be killed, and which rank's fault it is."""

    rank: int | None  # None: nobody's in particular
    cause: str
    has_ended: bool = False  # its process did, by itself


@dataclass(slots=True, kw_only=True)
class _Heard:
    """What is known of one rank."""

    since_s: float  # the last beat; before the first one, when waiting began
    step_s: float
    is_formed: bool = False
    steps: int = 0
    busy: bool = False
    end: str = ""
    end_s: float = 0.0
    is_echo: bool = False
    has_ended: bool = False  # its process, as opposed to its node's connection


class Watchdog:
    """Tell it what is heard, and ask it several times a second."""

    def __init__(self, size: int, *, now_s: float) -> None:
        """The ranks were started just now."""
        self._ranks = [_Heard(since_s=now_s, step_s=now_s) for _ in range(size)]
        self._looked_s = now_s
        self._least_step_s = LEAST_STEP_S
        self._slowest_step_s = 0.0

    @property
    def is_formed(self) -> bool:
        """Whether all ranks are in the group."""
        return all(rank.is_formed for rank in self._ranks)

    def allow(self, step_s: float = LEAST_STEP_S) -> None:
        """A step may take so long from now on, whatever was seen: a slow disk may keep a load silent."""
        self._least_step_s = step_s

    def formed(self, rank: int, *, now_s: float) -> None:
        """The rank is in the group; it beats from now on."""
        heard = self._ranks[rank]
        heard.is_formed, heard.since_s, heard.step_s = True, now_s, now_s

    def beat(self, rank: int, *, steps: int, busy: bool, now_s: float) -> None:
        """The rank's process runs."""
        heard = self._ranks[rank]
        heard.since_s = now_s
        if steps != heard.steps or not (busy and heard.busy):
            if busy and heard.busy:
                self._slowest_step_s = max(self._slowest_step_s, now_s - heard.step_s)
            heard.step_s = now_s
        heard.steps, heard.busy = steps, busy

    def ended(self, rank: int, cause: str, *, is_echo: bool, now_s: float) -> None:
        """The rank's process is no more. An echo only tells that another one had gone before."""
        heard = self._ranks[rank]
        if not heard.end:
            heard.end, heard.end_s, heard.is_echo, heard.has_ended = cause, now_s, is_echo, True

    def gone(self, rank: int, cause: str, *, now_s: float) -> None:
        """Nothing more will be heard of the rank."""
        heard = self._ranks[rank]
        if not heard.end:
            heard.end, heard.end_s = cause, now_s

    def verdict(self, *, now_s: float) -> Lost | None:
        """None while all is well; else who is to blame, which one look later may be somebody else."""
        away_s = now_s - self._looked_s
        self._looked_s = now_s
        if away_s > AWAY_S:
            self._forgive(away_s)
        return _ended(self._ranks, now_s) or self._silent(now_s) or self._stuck(now_s)

    def _forgive(self, away_s: float) -> None:
        for rank in self._ranks:
            rank.since_s += away_s
            rank.step_s += away_s

    def _silent(self, now_s: float) -> Lost | None:
        late = [rank for rank, heard in enumerate(self._ranks) if not heard.is_formed]
        if late:
            if all(now_s - self._ranks[rank].since_s < FORMATION_S for rank in late):
                return None
            return Lost(rank=late[0], cause=f"it did not join the group within {FORMATION_S:.0f} s")
        rank = min(range(len(self._ranks)), key=lambda place: self._ranks[place].since_s)
        if now_s - self._ranks[rank].since_s < SILENCE_S:
            return None
        return Lost(rank=rank, cause=f"nothing was heard of it for {SILENCE_S:.0f} s: it is stopped, asleep or cut off")

    def _stuck(self, now_s: float) -> Lost | None:
        limit_s = max(self._least_step_s, STEPS_PATIENCE * self._slowest_step_s)
        stuck = [rank for rank, heard in enumerate(self._ranks) if heard.busy and now_s - heard.step_s >= limit_s]
        if not stuck:
            return None
        # All wait for the one that is behind.
        rank = min(stuck, key=lambda place: self._ranks[place].steps)
        return Lost(rank=rank, cause=f"it got on with nothing for {limit_s:.0f} s")


def _ended(ranks: Sequence[_Heard], now_s: float) -> Lost | None:
    """The first that ended by itself; where there are echoes only, the first of these, once others had time to end."""
    over = [(heard.is_echo, heard.end_s, rank) for rank, heard in enumerate(ranks) if heard.end]
    if not over:
        return None
    is_echo, _, rank = min(over)
    if is_echo and len(over) < len(ranks) and now_s - min(end_s for _, end_s, _ in over) < SETTLE_S:
        return None
    return Lost(rank=rank, cause=ranks[rank].end, has_ended=ranks[rank].has_ended)
