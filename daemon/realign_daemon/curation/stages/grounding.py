"""Grounding: the sources of a job as chunks to ask about and records to take over, and how much of them is of use."""

from __future__ import annotations

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.sources import NoPages
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.templates import TemplateSet
from realign_daemon.errors import BadInput

# A page of prose has 0.9 and more of letters, digits and blanks; one whose fonts map to the wrong characters far less.
USABLE_TEXT_RATIO = 0.8


async def read_sources(desk: Desk, material: Material, templates: TemplateSet) -> Measures:
    """Fills material.chunks and material.records. Measures text_ratio: the share of pages with usable text.

    A source that cannot be read counts as one page without text, and one that has no pages not at all: one bad file
    among many does not sink the job.
    """
    material.sources, material.chunks, material.records = [], [], []
    usable = pages = 0
    for source in (desk.spec.data,) if desk.spec.data else desk.spec.sources:
        desk.say(f"reading {source.name}")
        good, read = await _read(desk, material, source, templates)
        usable, pages = usable + good, pages + read
    return exact("text_ratio", usable / pages if pages else None, pages)


async def _read(desk: Desk, material: Material, source: SourceSpec, templates: TemplateSet) -> tuple[int, int]:
    """Adds what a source holds; how many of its pages are of use, and how many it has."""
    try:
        reading = await desk.read(source, templates.chunking)
    except BadInput as error:
        material.drop(desk.stage.name, "the file could not be read", source=source.name, why=str(error))
        desk.warn(str(error))
        return 0, 0 if isinstance(error, NoPages) else 1
    for number in reading.pages_without_text:
        material.drop(desk.stage.name, "the page has no text", source=source.name, page=number)
    for bad in reading.bad_lines:
        material.drop(desk.stage.name, "the line is no JSON object", source=source.name, line=bad.line, why=bad.why)
    if reading.warning:
        desk.warn(reading.warning)
    material.sources.append(
        {
            "name": source.name,
            "sha256": source.sha256,
            "pages": reading.page_count,
            "passages": len(reading.chunks),
            "language": reading.language,
            "tables": reading.tables,
            "formulas": reading.formulas,
        }
    )
    material.records.extend(reading.records)
    if not reading.records:
        material.chunks.extend(reading.chunks)
    pages = reading.page_count + len(reading.bad_lines)
    is_usable = reading.records or reading.text_ratio >= USABLE_TEXT_RATIO  # a record may be all code or formulas
    return reading.page_count - len(reading.pages_without_text) if is_usable else 0, pages
