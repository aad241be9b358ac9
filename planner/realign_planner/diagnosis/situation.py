"""Situation: everything that a diagnosis goes by: this machine, its daemon, and what is known of other nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from realign_planner.diagnosis.answer import Answers, document, said, word
from realign_planner.diagnosis.machine import Machine, read_machine
from realign_planner.diagnosis.neighbours import ClusterSeen, read_status

Outcome = Literal["passed", "hang", "wrong_value", "wrong_size", "failed", "not_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """How the test of the links ended: a group over all nodes in processes of its own, with a deadline.

    hang: it did not end in time. wrong_value: a sum was not the exact one. wrong_size: the group had not all its
    members. failed: anything else, with what was said as the detail.
    """

    outcome: Outcome
    detail: str = ""


NOT_RUN = SelfTest(outcome="not_run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """`peers` are other machines of the cluster, by name, of which a recording was given."""

    answers: Answers
    machine: Machine
    cluster: ClusterSeen | None
    log: str | None  # None where there is none
    peers: Mapping[str, Machine]
    self_test: SelfTest


def read_situation(answers: Answers, peers: Mapping[str, Answers], self_test: SelfTest = NOT_RUN) -> Situation:
    """The situation that these answers describe. A self-test that was recorded counts unless another is given."""
    status = answers.get("daemon_status")
    logs = [text for name in ("daemon_last_words", "daemon_log") if (text := said(answers, name)) is not None]
    return Situation(
        answers=answers,
        machine=read_machine(answers),
        cluster=read_status(status.text) if status is not None and status.status == 0 else None,
        log="\n".join(logs) if logs else None,
        peers={name: read_machine(theirs) for name, theirs in peers.items()},
        self_test=_recorded(answers) if self_test == NOT_RUN else self_test,
    )


def _recorded(answers: Answers) -> SelfTest:
    answer = answers.get("self_test")
    found = document(answer.text) if answer is not None else None
    outcome = word((found or {}).get("outcome"))
    known: tuple[Outcome, ...] = get_args(Outcome)
    return next(
        (SelfTest(outcome=one, detail=word((found or {}).get("detail"))) for one in known if one == outcome), NOT_RUN
    )
