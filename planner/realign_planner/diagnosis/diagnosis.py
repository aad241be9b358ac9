"""Diagnosis: what doctor says in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from realign_planner.diagnosis.answer import Answers
from realign_planner.diagnosis.check import Check
from realign_planner.diagnosis.ladder import climb
from realign_planner.diagnosis.situation import Situation, read_situation
from realign_planner.diagnosis.surroundings import look_around

LAST_STEP = "self_test"
MAY_BE_OPEN = frozenset({"mlx", "cable"})  # steps that are not always known, and that the test itself judges

Backend = Literal["jaccl", "ring"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The ladder's nine checks, then the others, in the order of the causes."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """That of the first cause; 0 when there is none. What could not be read comes after all that was found."""
        found = [check for check in self.checks if check.cause is not None]
        return next((check.exit_code for check in (*_known(found), *found)), 0)

    @property
    def ok(self) -> bool:
        """Whether no cause was found and every step of the ladder could be read."""
        return self.exit_code == 0

    @property
    def backend(self) -> Backend:
        """What sharded models can use on this machine: RDMA only where a test of the link has passed."""
        return "jaccl" if self._state(LAST_STEP) == "ok" else "ring"

    @property
    def awaits_test(self) -> bool:
        """Whether all is there that a test of the link needs, and no group has made it yet."""
        before = self.checks[: [check.id for check in self.checks].index(LAST_STEP)]
        return self._state(LAST_STEP) == "skipped" and all(map(_is_passed, before))

    def _state(self, check_id: str) -> str:
        return next(check.state for check in self.checks if check.id == check_id)


def diagnose(situation: Situation) -> Diagnosis:
    """What is wrong, if anything."""
    return Diagnosis(checks=(*climb(situation), *look_around(situation)))


def has_rdma(answers: Answers) -> bool:
    """Whether a machine that gave these answers may be planned to use RDMA: all steps up to the test, and no warning.

    What warns is a macOS that is said to have changed data; who wants a group over it anyway can't have one.
    """
    *steps, _ = climb(read_situation(answers, {}))
    return all(_is_passed(check) and check.state != "warning" for check in steps)


def _is_passed(check: Check) -> bool:
    return check.state in ("ok", "warning") or (check.id in MAY_BE_OPEN and check.state != "failed")


def _known(found: list[Check]) -> list[Check]:
    return [check for check in found if check.state != "unknown"]
