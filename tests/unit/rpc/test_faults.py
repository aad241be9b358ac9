"""Errors on their way through gRPC."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from urllib.parse import quote

import grpc
import pytest

from realign_daemon import errors
from realign_daemon.rpc.faults import INTERNAL_MESSAGE, STATUS, error_of, fault_of

SAMPLES = [
    *(cls("what happened; what to do") for cls in STATUS),
    errors.DamagedBlob(sha256="0" * 64),
    errors.LedgerTooNew(path="ledger", found=9, known=1),
]


def every_class(root: type[errors.RealignError]) -> set[type[errors.RealignError]]:
    return {root} | {cls for child in root.__subclasses__() for cls in every_class(child)}


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_every_error_keeps_its_sentence_and_its_exit_code(error: errors.RealignError) -> None:
    fault = fault_of(error)

    back = error_of(fault.code, fault.message, fault.exit_code)

    assert (str(back), back.exit_code) == (str(error), error.exit_code)


def test_no_two_errors_that_a_caller_tells_apart_look_the_same_on_the_wire() -> None:
    seen = {(fault_of(cls("x")).code, cls.exit_code): cls for cls in STATUS if cls is not errors.BadConfig}

    assert len(seen) == len(STATUS) - 1


def test_an_error_that_is_no_realign_error_says_nothing_of_itself() -> None:
    assert fault_of(ValueError("secret")).message == INTERNAL_MESSAGE


def full_disk(folder: Path) -> sqlite3.OperationalError:
    """As SQLite raises it."""
    connection = sqlite3.connect(folder / "small.sqlite")
    connection.execute("PRAGMA max_page_count=1")
    with pytest.raises(sqlite3.OperationalError) as full:
        connection.execute("CREATE TABLE one (value)")
    connection.close()
    return full.value


def test_a_full_disk_is_said_in_one_sentence_with_where_it_is(tmp_path: Path) -> None:
    for error in (full_disk(tmp_path), OSError(errno.ENOSPC, "No space"), OSError(errno.EDQUOT, "Quota")):
        fault = fault_of(error, node="studio")
        assert fault.message == "the disk of studio is full; free some space there, then try again"
        assert (fault.code, fault.exit_code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1)


def test_too_many_open_files_are_said_in_one_sentence() -> None:
    for number in (errno.EMFILE, errno.ENFILE):
        fault = fault_of(OSError(number, "Too many open files"))
        assert fault.message == "this node has as many files open as it may; try again in a moment"


@pytest.mark.parametrize("error", [OSError(errno.EIO, "secret"), sqlite3.OperationalError("database or disk is full")])
def test_no_other_failure_of_a_disk_is_taken_for_a_full_one(error: Exception) -> None:
    assert fault_of(error).message == INTERNAL_MESSAGE


def test_an_error_class_without_a_status_of_its_own_takes_that_of_its_parent() -> None:
    assert fault_of(errors.DamagedBlob(sha256="0" * 64)).code is grpc.StatusCode.DATA_LOSS


def test_a_deadline_means_that_the_node_was_not_reached() -> None:
    assert isinstance(error_of(grpc.StatusCode.DEADLINE_EXCEEDED, "late"), errors.Unreachable)


def test_a_method_that_the_node_lacks_means_that_it_is_too_old() -> None:
    assert isinstance(error_of(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"), errors.Incompatible)


def test_every_exit_code_is_one_of_the_documented_ones() -> None:
    assert {cls.exit_code for cls in every_class(errors.RealignError)} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("character", ["x", "é", "語", "😀", "\0", "\ud800"])
def test_a_sentence_about_something_very_long_is_cut_to_what_a_status_holds(character: str) -> None:
    message = fault_of(errors.NotFound(f"there is no job {character * 100_000}")).message
    assert message.startswith("there is no job ")
    assert message.endswith("…")
    assert len(quote(message, errors="replace")) < 8 * 1024


def test_a_sentence_of_usual_length_comes_whole() -> None:
    sentence = "there is no setting; there are " + ", ".join(f"setting_{number}" for number in range(100))
    assert fault_of(errors.BadInput(sentence)).message == sentence
