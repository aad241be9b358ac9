"""Grounding: sources to chunks to prompts, each prompt tied to the place in the source that it was drawn from."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.documents.document import Chunk
from realign_daemon.curation.material import Material, Prompt
from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.templates import TemplateSet, leans_on_the_text
from realign_daemon.engine.api import Generate
from realign_daemon.work.units import seed_for

# A page of prose has 0.9 and more of letters, digits and blanks; one whose fonts map to the wrong characters far less.
USABLE_TEXT_RATIO = 0.8
HELD_OUT_FRACTION = 0.3  # of the prompts, in whole sections
HELD_OUT_LIMIT = 1.5 * HELD_OUT_FRACTION  # a section that would go beyond is passed over
PROMPTS_PER_ROW = 3  # about a third of the prompts gives a training row, after held-out sections and dropped pairs
HELD_OUT_PROMPTS = 100  # the win rate's gate wants as many comparisons


async def read_sources(desk: Desk, material: Material, templates: TemplateSet) -> Measures:
    """Fills material.chunks. Measures text_ratio: the share of pages with usable text."""
    usable = pages = 0
    for source in desk.spec.sources:
        desk.say(f"reading {source.name}")
        reading = await desk.read(source, templates.chunking)
        pages += reading.page_count
        if reading.text_ratio >= USABLE_TEXT_RATIO:
            usable += reading.page_count - len(reading.pages_without_text)
        for number in reading.pages_without_text:
            material.drop("sft_baseline", "the page has no text", source=source.name, page=number)
        material.chunks.extend(reading.chunks)
    return exact("text_ratio", usable / pages if pages else None, pages)


async def draw_prompts(desk: Desk, material: Material, templates: TemplateSet) -> None:
    """One question a chunk from the generator; keeps those that stand on their own, holds whole sections out."""
    chunks = _spread(material.chunks, _wanted(desk))
    tasks = [_question_task(desk, templates, chunk) for chunk in chunks]
    desk.say(f"asking about {len(tasks)} passages")
    answers = await desk.generate("generator", tasks)
    seen: set[str] = set()
    kept: list[tuple[str, Chunk, Generate]] = []
    for chunk, task, answer in zip(chunks, tasks, answers, strict=True):
        question = "" if answer is None else answer.text.strip()
        reason = _why_not(question, seen, templates) if answer is not None else "the unit was given up"
        if reason:
            material.drop("sft_baseline", reason, question=question, source=chunk.source, page=chunk.page)
        else:
            seen.add(normalise(question))
            kept.append((question, chunk, task))
    held_out = held_out_sections([chunk for _, chunk, _ in kept], desk.spec.seed)
    if not held_out and kept:
        desk.warn("the sources have a single section, so held-out rows come from the same section as training rows")
    material.prompts = [
        Prompt(
            id=hashlib.sha256(f"{chunk.id}\0{question}".encode()).hexdigest(),
            question=question,
            chunk=chunk,
            task=task,
            is_held_out=_section(chunk) in held_out
            if held_out
            else _draw(chunk.id, desk.spec.seed) < HELD_OUT_FRACTION,
        )
        for question, chunk, task in kept
    ]


def held_out_sections(chunks: Sequence[Chunk], seed: int) -> frozenset[tuple[str, str]]:
    """The sections to hold out: drawn by hash until their chunks reach HELD_OUT_FRACTION; none of a single section.

    Where every section alone is beyond HELD_OUT_LIMIT it is the smallest one, and so never more than half.
    """
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for chunk in chunks:
        sizes[_section(chunk)] += 1
    chosen: set[tuple[str, str]] = set()
    held = 0
    drawn = sorted(sizes, key=lambda section: _draw("\0".join(section), seed))
    for section in drawn:
        if held < HELD_OUT_FRACTION * len(chunks) and held + sizes[section] <= HELD_OUT_LIMIT * len(chunks):
            chosen.add(section)
            held += sizes[section]
    if not chosen and len(sizes) > 1:
        chosen.add(min(drawn, key=sizes.__getitem__))
    return frozenset(chosen)


def _wanted(desk: Desk) -> int | None:
    count = desk.spec.count
    return None if count is None else count * PROMPTS_PER_ROW + HELD_OUT_PROMPTS


def _spread(chunks: Sequence[Chunk], wanted: int | None) -> list[Chunk]:
    """At most `wanted` chunks, evenly over the sources."""
    if wanted is None or wanted >= len(chunks):
        return list(chunks)
    return [chunks[index * len(chunks) // wanted] for index in range(wanted)]


def _question_task(desk: Desk, templates: TemplateSet, chunk: Chunk) -> Generate:
    template = templates.template("question")
    return Generate(
        model=desk.pin("generator").model,
        messages=template.render(chunk=chunk.text),
        sampler=template.sampler,
        seed=seed_for(desk.spec.seed, chunk.id, 0),
        template=template.id,
    )


def _why_not(question: str, seen: set[str], templates: TemplateSet) -> str:
    """Why the question makes no prompt; empty when it does."""
    if not question or question == templates.no_question:
        return "the passage has nothing to ask about"
    if normalise(question) in seen:
        return "another passage led to the same question"
    if leans_on_the_text(question):
        return "the question leans on the passage and means nothing without it"
    return ""


def _section(chunk: Chunk) -> tuple[str, str]:
    return (chunk.source_sha256, chunk.section)


def _draw(name: str, seed: int) -> float:
    """A number in 0..1 that depends on the name and the job's seed only."""
    return seed_for(seed, name, 0) / 2**31
