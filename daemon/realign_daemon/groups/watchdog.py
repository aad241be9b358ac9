"""Watchdog: whether all ranks of a group live and get on, judged by what was heard of them. Pure: no clock, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

# Over loopback a group forms in 1 s. A ring's rank tries at once and after 1, 3, 7 and 15 s to connect to the next one,
# which a cold disk may keep from listening; JACCL's rank waits for ever.
FORMATION_S = 20.0
SILENCE_S = 4.0  # four beats
LEAST_STEP_S = 6.0
# Times the slowest step of late. Steps are alike, as a long text goes through in passes (see engine.child.load); but
# a batch grows, and somebody may begin to use the machine.
STEPS_PATIENCE = 3.0
RECENT_S = 30.0
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
        self._ranks = [_Heard(since_s=now_s) for _ in range(size)]
        self._looked_s = self._moved_s = now_s  # moved: some rank did a step
        self._allowed_s: list[float] = []
        self._recent: deque[tuple[float, float]] = deque()  # when a step ended, and how long it was
        self._pass_s = 0.0

    @property
    def is_formed(self) -> bool:
        """Whether all ranks are in the group."""
        return all(rank.is_formed for rank in self._ranks)

    @contextmanager
    def allowing(self, step_s: float) -> Generator[None]:
        """Until the block ends a step may take so long, whatever was seen: a slow disk may keep a load silent."""
        self._allowed_s.append(step_s)
        try:
            yield
        finally:
            self._allowed_s.remove(step_s)

    def loaded(self, pass_s: float, *, now_s: float) -> None:
        """All ranks have the model; a pass of as many tokens as there ever are took them so long.

        What the load took is forgotten, and the pass is not: one may be due again after hours of short steps.
        """
        self._recent.clear()
        self._moved_s, self._pass_s = now_s, pass_s

    def formed(self, rank: int, *, now_s: float) -> None:
        """The rank is in the group; it beats from now on."""
        heard = self._ranks[rank]
        heard.is_formed, heard.since_s, self._moved_s = True, now_s, now_s

    def beat(self, rank: int, *, steps: int, busy: bool, now_s: float) -> None:
        """The rank's process runs. While it has no work its rounds through the group are its steps."""
        heard = self._ranks[rank]
        if steps != heard.steps:
            self._move(now_s, is_work=busy and heard.busy)
        heard.since_s, heard.steps, heard.busy = now_s, steps, busy

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
        self._moved_s += away_s
        for rank in self._ranks:
            rank.since_s += away_s

    def _move(self, now_s: float, *, is_work: bool) -> None:
        if is_work:
            self._recent.append((now_s, now_s - self._moved_s))
        while self._recent and self._recent[0][0] < now_s - RECENT_S:
            self._recent.popleft()
        self._moved_s = now_s

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
        """Where only some get on the others wait for them."""
        limit_s = self._limit_s()
        if not self.is_formed or now_s - self._moved_s < limit_s:
            return None
        rank = min(range(len(self._ranks)), key=lambda place: self._ranks[place].steps)  # the one that is behind
        return Lost(rank=rank, cause=f"it got on with nothing for {limit_s:.0f} s")

    def _limit_s(self) -> float:
        """How long the step may take that is under way, judged by those before it began."""
        if not any(heard.busy for heard in self._ranks):
            return LEAST_STEP_S
        slowest_s = max((step_s for _, step_s in self._recent), default=0.0)
        return max(LEAST_STEP_S, STEPS_PATIENCE * max(slowest_s, self._pass_s), *self._allowed_s)


def _ended(ranks: Sequence[_Heard], now_s: float) -> Lost | None:
    """The first that ended by itself; where there are echoes only, the first of these, once others had time to end."""
    over = [(heard.is_echo, heard.end_s, rank) for rank, heard in enumerate(ranks) if heard.end]
    if not over:
        return None
    is_echo, _, rank = min(over)
    if is_echo and len(over) < len(ranks) and now_s - min(end_s for _, end_s, _ in over) < SETTLE_S:
        return None
    return Lost(rank=rank, cause=ranks[rank].end, has_ended=ranks[rank].has_ended)
