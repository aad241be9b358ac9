"""Grounding: what a job makes of sources that are not all of use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from realign_daemon.curation.computations import Computations
from realign_daemon.curation.documents.chunks import Chunking
from realign_daemon.curation.documents.reading import Reading
from realign_daemon.curation.intake import Request
from realign_daemon.curation.material import Material
from realign_daemon.curation.sources import read_source
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.curation.stages.grounding import read_sources
from realign_daemon.curation.survey import survey
from realign_daemon.curation.templates.sets import load
from realign_daemon.errors import BadInput
from realign_daemon.testing.inline_worker import InlineWorker
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.testing.scripted_desk import ScriptedDesk
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.ledger import Ledger

GOOD = b"The river is cold. Nobody lives there.\n"
CHUNKING = Chunking()
RECORD = b'{"question": "How deep?", "answer": "4"}\n'


class Shelf:
    """Sources in a blob store, read as a daemon reads them."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self._blobs = BlobStore(folder / "blobs")
        self._computations = Computations(InlineWorker(), ledger, ManualClock())

    def specs(self, files: Mapping[str, bytes]) -> tuple[SourceSpec, ...]:
        return tuple(
            SourceSpec(name=name, sha256=self._blobs.put_bytes(data), size_bytes=len(data))
            for name, data in files.items()
        )

    async def read(self, source: SourceSpec, chunking: Chunking = CHUNKING) -> Reading:
        return await read_source(self._computations, self._blobs, source, chunking)


class ReadingDesk(ScriptedDesk):
    """A desk whose sources are read as a daemon reads them."""

    def __init__(self, shelf: Shelf, files: Mapping[str, bytes]) -> None:
        super().__init__(lambda _: None, sources=shelf.specs(files))
        self._shelf = shelf

    async def read(self, source: SourceSpec, chunking: Chunking) -> Reading:
        return await self._shelf.read(source, chunking)


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    database = Database(tmp_path / "ledger.sqlite")
    await database.open()
    yield Shelf(tmp_path, Ledger(database, node_id="node"))
    await database.close()


async def test_files_without_pages_are_warned_of_and_listed_and_do_not_count_against_the_others(shelf: Shelf) -> None:
    files = {"good.md": GOOD, "empty.txt": b"\n", "empty.pdf": b"\n", "letter.docx": b"\n", "cut.pdf": b"%PDF-1.7"}
    desk, material = ReadingDesk(shelf, files), Material()
    (measure,) = (await read_sources(desk, material, load("pocket"))).values()
    assert (measure.value, measure.n) == (0.5, 2)  # the good page, and the damaged file
    bad = ["empty.txt", "empty.pdf", "letter.docx", "cut.pdf"]
    assert [one.content["source"] for one in material.dropped] == bad
    assert [warning.split()[0] for warning in desk.record.warnings] == bad
    assert "save it as PDF or HTML" in desk.record.warnings[2]


async def test_lines_that_are_no_records_are_listed_by_number_and_reason_and_warned_of(shelf: Shelf) -> None:
    desk = ReadingDesk(shelf, {"rows.jsonl": RECORD + b'["a?"]\n' + RECORD + b'{"question": "cut'})
    material = Material()
    (measure,) = (await read_sources(desk, material, load("pocket"))).values()
    assert (len(material.records), measure.value, measure.n) == (2, 0.5, 4)
    assert [(one.content["line"], one.content["why"][:7]) for one in material.dropped] == [
        (2, "is a JS"),
        (4, "is not "),
    ]
    (warning,) = desk.record.warnings
    assert warning.startswith(
        "2 of 4 lines of rows.jsonl are left out because they are no JSON objects; line 2 is a JSON"
    )


async def test_a_request_whose_every_source_is_of_no_use_is_refused_and_any_good_one_makes_the_rest_warnings(
    shelf: Shelf,
) -> None:
    bad = {"empty.txt": b"\n", "rows.jsonl": b"[\n]"}
    with pytest.raises(BadInput, match=r"empty\.txt"):
        await survey(Request(text="r", sources=shelf.specs(bad)), "dpo", shelf.read)
    sources = shelf.specs({**bad, "good.md": GOOD, "more.jsonl": RECORD + b"{"})
    found = await survey(Request(text="r", sources=sources), "dpo", shelf.read)
    assert (found.passages, len(found.warnings)) == (2, 3)


async def test_an_evaluation_set_with_a_bad_line_is_refused_for_it_could_not_guard_the_rows(shelf: Shelf) -> None:
    sets = shelf.specs({"eval.jsonl": RECORD + b"[]"})
    request = Request(text="r", sources=shelf.specs({"good.md": GOOD}), eval_sets=sets)
    with pytest.raises(BadInput, match=r"line 2 of the evaluation set eval\.jsonl is a JSON array"):
        await survey(request, "dpo", shelf.read)
