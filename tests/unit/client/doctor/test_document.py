"""docs/doctor.md says of every cause what the code says."""

from __future__ import annotations

from pathlib import Path

from realign_planner.diagnosis.causes import CAUSES
from realign_planner.diagnosis.commands import ASKED, COMMON, DEVICE_INFO, LINUX, MACOS, device_answer

TEXT = (Path(__file__).parents[4] / "docs" / "doctor.md").read_text("utf-8")


def rows(header: str) -> list[list[str]]:
    """The cells of the table under the header."""
    lines = TEXT[TEXT.index(header) :].splitlines()[2:]
    table = lines[: next(at for at, line in enumerate([*lines, ""]) if not line.startswith("|"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_the_table_of_causes_is_that_of_the_code() -> None:
    written = [(int(code), name.strip("`"), severity) for code, name, severity, *_ in rows("| code | cause |")]

    assert written == [(cause.exit_code, cause.id, cause.severity) for cause in CAUSES.values()]


def test_exit_codes_lie_between_10_and_39_and_each_is_one_causes() -> None:
    codes = [cause.exit_code for cause in CAUSES.values()]

    assert codes == sorted(set(codes))
    assert set(codes) <= set(range(10, 40))


def test_the_table_of_recorded_files_is_that_of_the_code() -> None:
    commands = {**COMMON, **MACOS, device_answer("DEVICE"): DEVICE_INFO}
    said = {name: " ".join(arguments) for name, arguments in commands.items()}
    said["sandbox"] = f"{said['sandbox']}; Linux: {' '.join(LINUX['sandbox'])}"
    quoted = {name: f"`{text}`" for name, text in said.items()} | {
        name: text.replace("|", "/") for name, text in ASKED.items()
    }

    assert {name.strip("`"): text for name, text in rows("| file | what it holds |")} == quoted
