"""Provenance as people read it: where a row stands, and one line for each judge."""

from __future__ import annotations

from realign_client.render.provenance import provenance_lines

SHA = "93ab12cd34ef" + 52 * "0"
RATED = {"template": "standard.rubric@2", "unit": SHA, "node": "left"}


def test_each_judge_has_one_line_with_all_that_it_said_and_where() -> None:
    said = [
        {"of": "chosen", "scores": {"truthfulness": 5.0, "clarity": 4.0}, **RATED},
        {"of": "rejected", "scores": {"overall": 1.0321}, **RATED},
        {"of": "42", "scores": {"right": 0.98}, **RATED},
        {
            "order": ["chosen", "rejected"],
            "winner": "chosen",
            "template": "standard.compare@2",
            "unit": SHA,
            "node": "right",
        },
    ]
    judge = {"model": "big", "model_sha256": SHA, "seed": None, "said": said}
    *_, title, gap, line = provenance_lines({"id": "r"}, {"judge": {"gap": 0.5, "models": [judge]}})
    assert (title, gap) == ("judge", "  gap: 0.5")
    assert line == (
        "  big (93ab12cd34ef): chosen 4.5 (lowest clarity 4); rejected 1.03; 42: right 0.98; chosen before rejected: "
        "chosen; by standard.rubric@2, standard.compare@2 on left, right"
    )


def test_a_row_that_no_judge_saw_says_so() -> None:
    assert provenance_lines({"id": "r"}, {"judge": None})[-1] == "judge: -"


def test_each_sample_has_one_line_and_hashes_are_short() -> None:
    samples = [{"seed": 7, "unit": SHA, "result": "correct"}, {"seed": 8, "unit": SHA, "result": "wrong"}]
    assert provenance_lines({"id": "r"}, {"samples": samples})[-2:] == [
        "samples 1: seed 7, unit 93ab12cd34ef, result correct",
        "samples 2: seed 8, unit 93ab12cd34ef, result wrong",
    ]
