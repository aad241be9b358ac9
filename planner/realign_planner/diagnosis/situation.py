"""Situation: everything that a diagnosis goes by: this machine, its daemon, and what is known of other nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from realign_planner.diagnosis.answer import Answers, said
from realign_planner.diagnosis.machine import Machine, read_machine
from realign_planner.diagnosis.neighbours import ClusterSeen, read_status
from realign_planner.diagnosis.self_test import NOT_RUN, SelfTest, last_proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """`peers` are other machines of the cluster, by name, of which a recording was given."""

    answers: Answers
    machine: Machine
    cluster: ClusterSeen | None
    log: str | None  # None where there is none
    peers: Mapping[str, Machine]
    self_test: SelfTest


def read_situation(answers: Answers, peers: Mapping[str, Answers]) -> Situation:
    """The situation that these answers describe."""
    status = answers.get("daemon_status")
    logs = [text for name in ("daemon_last_words", "daemon_log") if (text := said(answers, name)) is not None]
    log = "\n".join(logs) if logs else None
    return Situation(
        answers=answers,
        machine=read_machine(answers),
        cluster=read_status(status.text) if status is not None and status.status == 0 else None,
        log=log,
        peers={name: read_machine(theirs) for name, theirs in peers.items()},
        self_test=last_proof(log) if log is not None else NOT_RUN,
    )
