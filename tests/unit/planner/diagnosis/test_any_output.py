"""Whatever the commands of a machine print, doctor says something of it, and nothing is well that was not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from realign_planner.diagnosis.answer import Answer, Answers
from realign_planner.diagnosis.causes import CAUSES
from realign_planner.diagnosis.check import Check
from realign_planner.diagnosis.commands import ASKED, COMMON, MACOS, device_answer
from realign_planner.diagnosis.diagnosis import Diagnosis, diagnose
from realign_planner.diagnosis.situation import read_situation

NAMES = (*COMMON, *MACOS, *ASKED, *(device_answer(f"rdma_en{number}") for number in (1, 2, 3)))
LAPTOP = Path(__file__).parents[3] / "data" / "doctor" / "laptop"
HEALTHY: Mapping[str, Answer] = {
    path.name: Answer(text=path.read_text(), status=113 if path.name == "launchctl_user" else 0)
    for path in LAPTOP.iterdir()
    if path.suffix != ".rc"
}
# Step of the ladder -> the commands without which it cannot be judged.
NEEDED = {
    "macos": ("sw_vers",),
    "thunderbolt": ("system_profiler_thunderbolt",),
    "rdma_ctl": ("rdma_ctl_status",),
    "rdma_devices": ("ibv_devices",),
    "rdma_port": ("ibv_devinfo_rdma_en2",),
    "rdma_network": ("ifconfig",),
}

texts = st.one_of(
    st.text(max_size=200),
    st.binary(max_size=200).map(lambda data: data.decode("utf-8", errors="replace")),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(("SPThunderboltDataType", "_items", "receptacle_1_tag", "node", "members", "facts")),
                inner,
            )
        ),
        max_leaves=8,
    ).map(lambda value: str(value).replace("'", '"').replace("None", "null").replace("True", "true")),
)
answers = st.builds(Answer, text=texts, status=st.sampled_from((0, 0, 0, 1, 126, None)))


def diagnosed(said: Answers, peers: Mapping[str, Answers] | None = None) -> Diagnosis:
    return diagnose(read_situation(said, peers or {}))


def state(diagnosis: Diagnosis, check_id: str) -> str:
    return next(check.state for check in diagnosis.checks if check.id == check_id)


def judge(diagnosis: Diagnosis) -> None:
    """What holds of every diagnosis."""
    assert diagnosis.exit_code in {0, *(cause.exit_code for cause in CAUSES.values())}
    assert diagnosis.ok == (diagnosis.exit_code == 0)
    for check in diagnosis.checks:
        assert (check.cause is None) == (check.exit_code == 0)
        if check.state in ("failed", "warning"):
            assert check.cause is not None
            assert check.sentence
            assert check.fix
        assert all(character.isprintable() for character in check.evidence)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), answers), st.dictionaries(st.sampled_from(NAMES), answers))
def test_any_output_of_any_command_gives_a_diagnosis(said: dict[str, Answer], peer: dict[str, Answer]) -> None:
    judge(diagnosed(said))
    judge(diagnosed({**HEALTHY, **said}, {"peer": peer, "other": {**HEALTHY, **peer}}))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(HEALTHY)), st.data())
def test_output_that_was_cut_or_changed_in_one_place_gives_a_diagnosis(name: str, data: st.DataObject) -> None:
    text = HEALTHY[name].text
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    changed = text[:start] + data.draw(st.text(max_size=5)) + text[end:]

    judge(diagnosed({**HEALTHY, name: Answer(text=changed)}))


@given(
    st.sampled_from(sorted(NEEDED)),
    st.sampled_from(
        (None, Answer(text=""), Answer(text="operation not permitted", status=1), Answer(text="", status=None))
    ),
)
def test_a_step_whose_command_said_nothing_is_never_well(step: str, answer: Answer | None) -> None:
    said = {name: known for name, known in HEALTHY.items() if name not in NEEDED[step]}
    said |= dict.fromkeys(NEEDED[step], answer) if answer is not None else {}

    diagnosis = diagnosed(said)

    assert not diagnosis.ok or (step == "macos" and answer is None)  # without sw_vers it is no Mac
    assert state(diagnosis, step) != "ok"


def test_figures_without_end_and_documents_without_bottom_are_read_in_time() -> None:
    said = {name: Answer(text="9" * 20_000 + "[" * 100_000 + " " * 100_000 + "\n" * 100_000) for name in NAMES}
    said["daemon_log"] = Answer(text="[jaccl] rdma queue pair " * 40_000)

    judge(diagnosed(said))


def test_a_diagnosis_is_the_same_for_the_same_answers() -> None:
    first: list[dict[str, object]] = [asdict(check) for check in diagnosed(HEALTHY).checks]
    again: tuple[Check, ...] = diagnosed(dict(reversed(list(HEALTHY.items())))).checks

    assert [asdict(check) for check in again] == first
