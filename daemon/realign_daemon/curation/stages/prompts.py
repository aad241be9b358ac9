"""Prompts: questions drawn from chunks or taken over from records, each tied to its place in the sources."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, cast

from realign_daemon.curation.desk import PILOT_ITEMS, Desk
from realign_daemon.curation.documents.document import Chunk, Record
from realign_daemon.curation.fields import value_of
from realign_daemon.curation.material import Material, Prompt
from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.stages.hygiene import clean_prompts, redacted
from realign_daemon.curation.templates import Template, TemplateSet, leans_on_the_text, load
from realign_daemon.engine.api import Generate
from realign_daemon.work.units import seed_for
from realign_planner.volume import asked_about

HELD_OUT_FRACTION = 0.3  # of the prompts, in whole sections
HELD_OUT_LIMIT = 1.5 * HELD_OUT_FRACTION  # a section that would go beyond is passed over
WIDEN_FRACTION = 0.5  # of the prompts there are: how many more an undecided gate asks for
EARLIER = "the data set to append to has the question already"

Section = tuple[str, str]
Drawn = tuple[str, str]  # a question, and its true answer where the model was asked for that, too


def _question_alone(template: Template, text: str) -> Drawn:
    return template.text_of(text, "question"), ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How questions come out of chunks: with which template, and how its answer is read."""

    template: str = "question"
    read: Callable[[Template, str], Drawn] = _question_alone


QUESTION = Asking()


class _Found(NamedTuple):
    question: str
    gold: str
    chunk: Chunk
    task: Generate | None = None


async def draw_prompts(desk: Desk, material: Material, asking: Asking = QUESTION) -> None:
    """Sets material.prompts: the questions of records, and one a chunk from the generator; whole sections held out."""
    everything = [record.chunk for record in material.records] + material.chunks
    material.prompts = []
    found = await _questions(desk, material, asking, spread(everything, _wanted(desk)), everything)
    material.held_out = held_out_sections([one.chunk for one in found], desk.spec.seed)
    if not material.held_out and any(one.task for one in found):
        desk.warn("the sources have a single section, so held-out rows come from the same section as training rows")
    material.prompts = await clean_prompts(desk, material, [_prompt(desk, material, one) for one in found])


async def widen(desk: Desk, material: Material, asking: Asking = QUESTION) -> int:
    """Adds prompts of chunks that nobody asked about yet, for a gate that is undecided; how many came."""
    wanted = max(1, round(WIDEN_FRACTION * len(material.prompts)))
    found = await _questions(desk, material, asking, spread(material.unasked, wanted), material.unasked)
    before = len(material.prompts)
    wider = material.prompts + [_prompt(desk, material, one) for one in found]
    material.prompts = await clean_prompts(desk, material, wider)
    return max(0, len(material.prompts) - before)


def held_out_sections(chunks: Sequence[Chunk], seed: int) -> frozenset[Section]:
    """The sections to hold out: drawn by hash until their chunks reach HELD_OUT_FRACTION; none of a single section.

    Where every section alone is beyond HELD_OUT_LIMIT it is the smallest one, and so never more than half.
    """
    sizes: dict[Section, int] = defaultdict(int)
    for chunk in chunks:
        sizes[_section(chunk)] += 1
    chosen: set[Section] = set()
    held = 0
    drawn = sorted(sizes, key=lambda section: _draw("\0".join(section), seed))
    for section in drawn:
        if held < HELD_OUT_FRACTION * len(chunks) and held + sizes[section] <= HELD_OUT_LIMIT * len(chunks):
            chosen.add(section)
            held += sizes[section]
    if not chosen and len(sizes) > 1:
        chosen.add(min(drawn, key=sizes.__getitem__))
    return frozenset(chosen)


def spread(chunks: Sequence[Chunk], wanted: int | None) -> list[Chunk]:
    """At most `wanted` chunks in their order, evenly over each source; every source has its part, one at least.

    Of each stretch of a source the one with the least hash is drawn: an even step would see only one kind of record in
    a file that repeats a pattern.
    """
    if wanted is None or wanted >= len(chunks):
        return list(chunks)
    by_source: dict[str, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        by_source[chunk.source_sha256].append(chunk)
    chosen: list[Chunk] = []
    left, chunks_left = wanted, len(chunks)
    for of_source in sorted(by_source.values(), key=len):  # the smallest first: what it cannot use goes to the others
        part = min(len(of_source), max(1, round(left * len(of_source) / chunks_left)), left)
        edges = [index * len(of_source) // max(part, 1) for index in range(part + 1)]
        chosen += [min(of_source[low:high], key=_lot) for low, high in pairwise(edges)]
        left, chunks_left = left - part, chunks_left - len(of_source)
    order = {chunk.id: place for place, chunk in enumerate(chunks)}
    return sorted(chosen, key=lambda chunk: order[chunk.id])


def _lot(chunk: Chunk) -> bytes:
    return hashlib.sha256(chunk.id.encode()).digest()


def question_of(row: Mapping[str, Any]) -> str:
    """What the user asks in a row of any data type: its prompt, or the last turn of theirs."""
    prompt = row.get("prompt", row.get("messages", ""))
    if isinstance(prompt, str):
        return prompt
    turns = cast("Sequence[Mapping[str, str]]", prompt)
    return next((turn["content"] for turn in reversed(turns) if turn["role"] == "user"), "")


async def _questions(
    desk: Desk, material: Material, asking: Asking, chosen: Sequence[Chunk], among: Sequence[Chunk]
) -> list[_Found]:
    """The questions of the chosen chunks, those of records first; the others among them stay unasked."""
    ids = {chunk.id for chunk in chosen}
    material.unasked = [chunk for chunk in among if chunk.id not in ids]
    seen = {normalise(prompt.question) for prompt in material.prompts}
    records = [record for record in material.records if record.chunk.id in ids]
    given = _given(desk, material, records, seen)
    of_records = {record.chunk.id for record in records}
    chunks = [chunk for chunk in chosen if chunk.id not in of_records]
    return await _unlike_earlier(desk, material, given + await _ask(desk, material, asking, chunks, seen=seen))


async def _unlike_earlier(desk: Desk, material: Material, found: list[_Found]) -> list[_Found]:
    """Those that no row of the job to append to asks; both sides without personal data, as it is taken out of rows."""
    if desk.spec.earlier is None:
        return found
    rows = (json.loads(line) for line in desk.blobs.read(desk.spec.earlier).splitlines())
    earlier = {normalise(question) for question, _ in await redacted(desk, [question_of(row) for row in rows])}
    kept: list[_Found] = []
    for one, (question, _) in zip(found, await redacted(desk, [one.question for one in found]), strict=True):
        if normalise(question) not in earlier:
            kept.append(one)
        else:
            material.drop(desk.stage.name, EARLIER, chunk=one.chunk, question=one.question)
    return kept


def _given(desk: Desk, material: Material, records: Sequence[Record], seen: set[str]) -> list[_Found]:
    """The questions of the records that were not `seen`, which grows by them, with their true answers if they have."""
    given: list[_Found] = []
    for record in records:
        question = value_of("question", record.fields, desk.spec.columns)
        if not question or normalise(question) in seen:
            reason = "the question is there already" if question else "the record has no question"
            said = {"question": question} if question else {"columns": ", ".join(record.fields)}
            material.drop(desk.stage.name, reason, chunk=record.chunk, **said)
            continue
        seen.add(normalise(question))
        gold = value_of("answer", record.fields, desk.spec.columns)
        given.append(_Found(question=question, gold=gold, chunk=record.chunk))
    return given


async def _ask(
    desk: Desk, material: Material, asking: Asking, chunks: Sequence[Chunk], *, seen: set[str]
) -> list[_Found]:
    """The questions of the chunks that stand on their own and were not `seen`, which grows by them."""
    templates = load(desk.pin("generator").templates)
    tasks = [_task(desk, templates.template(asking.template), chunk) for chunk in chunks]
    desk.say(f"asking about {len(tasks)} passages")
    answers = await desk.generate("generator", tasks)
    kept: list[_Found] = []
    for chunk, task, answer in zip(chunks, tasks, answers, strict=True):
        question, gold = ("", "") if answer is None else asking.read(templates.template(asking.template), answer.text)
        reason = "the unit was given up" if answer is None else _why_not(question, seen, templates)
        if reason:
            material.drop(desk.stage.name, reason, chunk=chunk, question=question)
        else:
            seen.add(normalise(question))
            kept.append(_Found(question=question, gold=gold, chunk=chunk, task=task))
    return kept


def _task(desk: Desk, template: Template, chunk: Chunk) -> Generate:
    return Generate(
        model=desk.pin("generator").model,
        messages=template.render(chunk=chunk.text),
        sampler=template.sampler,
        seed=seed_for(desk.spec.seed, chunk.id, 0),
        template=template.id,
        schema=template.schema,
        thinking=desk.spec.thinking_of("generator"),
    )


def _prompt(desk: Desk, material: Material, found: _Found) -> Prompt:
    chunk, held_out = found.chunk, material.held_out
    return Prompt(
        id=hashlib.sha256(f"{chunk.id}\0{found.question}".encode()).hexdigest(),
        question=found.question,
        chunk=chunk,
        task=found.task,
        is_held_out=_section(chunk) in held_out if held_out else _draw(chunk.id, desk.spec.seed) < HELD_OUT_FRACTION,
        gold=found.gold,
    )


def _why_not(question: str, seen: set[str], templates: TemplateSet) -> str:
    """Why the question makes no prompt; empty when it does."""
    if not question or question == templates.no_question:
        return "the passage has nothing to ask about"
    if normalise(question) in seen:
        return "the question is there already"
    if leans_on_the_text(question):
        return "the question leans on the passage and means nothing without it"
    return ""


def _wanted(desk: Desk) -> int | None:
    if desk.is_pilot:
        return PILOT_ITEMS
    count = None if desk.spec.data else desk.spec.count  # of rows that are there all are scored, then the best are kept
    return None if count is None else asked_about(count)


def _section(chunk: Chunk) -> Section:
    return (chunk.source_sha256, chunk.section)


def _draw(name: str, seed: int) -> float:
    """A number in 0..1 that depends on the name and the job's seed only."""
    return seed_for(seed, name, 0) / 2**31
