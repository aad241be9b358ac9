"""The cables that RDMA goes over, as the commands of recorded Macs tell of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.client.doctor.recorded import BROKEN, DATA, broken

from realign_client.doctor.recording import read_recording
from realign_daemon.cluster.facts import Cable
from realign_daemon.host.cables import fit_cables, plugged_cables
from realign_daemon.host.program import answer_of, output_of
from realign_planner.diagnosis.answer import Answer
from realign_planner.diagnosis.commands import COMMON, MACOS
from realign_planner.diagnosis.diagnosis import diagnose
from realign_planner.diagnosis.situation import read_situation

NAMES = {command: name for name, command in {**COMMON, **MACOS}.items()}


class Recorded:
    """A Mac that answers as it once did."""

    def __init__(self, folder: Path) -> None:
        self.answers = read_recording(folder)
        self.asked: list[str] = []

    def ask(self, *command: str) -> Answer | None:
        self.asked.append(command[0])
        return self.answers.get(NAMES.get(command, f"ibv_devinfo_{command[-1]}"))

    def fit(self) -> tuple[Cable, ...]:
        return fit_cables(self.ask, lambda: self.answers["interpreter"].text)


def test_both_ends_of_a_healthy_cable_may_be_planned_over_and_meet() -> None:
    laptop, studio = Recorded(DATA / "laptop"), Recorded(DATA / "studio")
    (here,), (there,) = laptop.fit(), studio.fit()
    assert here.meets(there)
    assert there.meets(here)
    assert not here.meets(here)
    assert plugged_cables(laptop.ask) == (here,)


@pytest.mark.parametrize("name", BROKEN)
def test_what_doctor_finds_wrong_with_rdma_is_not_planned_over(name: str, tmp_path: Path) -> None:
    mac = Recorded(broken(name, tmp_path / "mac"))
    ladder = [check.state for check in diagnose(read_situation(mac.answers, {})).checks[:7]]  # what one Mac can know
    assert bool(mac.fit()) is (set(ladder) == {"ok"})


def test_where_rdma_is_off_no_slow_program_is_asked(tmp_path: Path) -> None:
    mac = Recorded(broken("rdma_disabled", tmp_path / "mac"))
    assert mac.fit() == ()
    assert mac.asked == ["rdma_ctl"]


def test_a_machine_without_the_programs_has_no_cables() -> None:
    assert fit_cables(lambda *_: None) == ()
    assert plugged_cables(lambda *_: None) == ()


def test_a_program_is_answered_with_its_status_and_what_it_says_on_either_stream() -> None:
    assert answer_of("sh", "-c", "echo yes; echo no >&2") == Answer(text="yes\n")
    assert answer_of("sh", "-c", "echo no >&2; exit 3") == Answer(text="no\n", status=3)
    assert output_of("sh", "-c", "echo no >&2; exit 3") == ""
    assert answer_of("no-such-program") is None
    assert output_of("no-such-program") == ""
