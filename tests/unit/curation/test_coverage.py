"""Coverage: what became of each section."""

from __future__ import annotations

from realign_daemon.curation.coverage import coverage, sections_asked
from realign_daemon.curation.material import Row
from realign_daemon.testing.scripted_desk import chunk, prompt


def row(section: str, *, is_held_out: bool) -> Row:
    provenance = {"source": {"name": "a.txt", "section": section}}
    return Row(fields={"id": "1"}, provenance=provenance, is_held_out=is_held_out)


def test_every_section_says_how_many_passages_gave_prompts_and_rows() -> None:
    chunks = [chunk("1", section="One"), chunk("2", section="One"), chunk("3", section="Two")]
    asked = sections_asked(chunks, [prompt("q", of=chunks[0])])
    found = coverage(asked, [row("One", is_held_out=False), row("One", is_held_out=True)])
    assert found == [
        {"source": "a.txt", "section": "One", "passages": 2, "prompts": 1, "rows": 1, "held_out_rows": 1},
        {"source": "a.txt", "section": "Two", "passages": 1, "prompts": 0, "rows": 0, "held_out_rows": 0},
    ]
