"""What of a solution counts as its answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.curation.verify.final import MAX_CHARACTERS, final_answer

PIECES = (
    *("\\boxed{", "}", "{", "5", " ", "\n", "#### ", "The answer is ", "answer:", "not "),
    *("wait", "$", "**", "\\(", "\\)", ".", ",", "x", "\\{"),
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("We add. So \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("\\boxed{1}\nNo matter.\n\\boxed{2}", "2"),
        ("\\boxed{\\boxed{5}}", "5"),
        ("\\boxed{3} or \\boxed{4}", "3, 4"),
        ("\\boxed{3} that is \\boxed{3}", "3"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("It is not \\boxed{5}", ""),
        ("\\boxed{5}\nWait, that is a mistake.", ""),
        ("16 - 3 = 13\n#### 26", "26"),
        ("The answer is 42. I hope it is correct.", "42"),
        ("The answer is 5. No, it is 6.", "5. No, it is 6"),
        ("the answer is not 5", "not 5"),
        ("**Answer:** $\\frac{1}{2}$", "\\frac{1}{2}"),
        ("Answer:\n\n12 km", "12 km"),
        ("First.\nThen.\n7.", "7"),
        ("7", "7"),
        ("", ""),
    ],
)
def test_the_answer_is_what_the_author_commits_to(text: str, answer: str) -> None:
    assert final_answer(text) == answer


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_the_answer_of_an_answer_is_itself(text: str) -> None:
    assert final_answer(final_answer(text)) == final_answer(text)


@pytest.mark.parametrize("piece", [*PIECES, "\\boxed{5} "])
def test_endless_repetition_is_read_at_once(piece: str) -> None:
    # Quadratic reading of this much would take minutes, and this runs in the daemon's own process.
    final_answer(piece * (2 * MAX_CHARACTERS // len(piece)))
