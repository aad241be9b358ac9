"""Hygiene: prompts and rows without repeats, evaluation items, personal data and strange languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.export import row_id
from realign_daemon.curation.hygiene.redaction import redact, strings, with_strings
from realign_daemon.curation.material import Dropped, Material, Prompt, Row
from realign_daemon.curation.place import spot

# Jaccard similarity of Lee et al. 2022 (arXiv 2107.06499), theirs of runs of five words in web pages.
NEAR_DUPLICATE = 0.8
# Runs of eight words, half of an evaluation item's: Tulu 3 (arXiv 2411.15124), section on decontamination.
CONTAMINATION_WORDS = 8
CONTAMINATED = 0.5
BATCH_CHARACTERS = 4_000_000  # at most 16 MB, where a frame to the worker holds 64 MiB
SURE_LANGUAGE = 0.9  # own choice: py3langid's confidence in a plain sentence of ten words is above it

CHECKED_BY = ("answer", "tests")  # of an RLVR row

REPEATS = "it repeats another one"
LEAKS = "it contains an item of the evaluation sets"
PERSONAL = "it holds personal data"
FOREIGN = "it is in another language"
# What the summary calls them.
_COUNTED = {REPEATS: "near_duplicates", LEAKS: "contaminated", PERSONAL: "personal_data", FOREIGN: "other_language"}


async def clean_prompts(desk: Desk, material: Material, prompts: Sequence[Prompt]) -> list[Prompt]:
    """The prompts that repeat no other one and no evaluation item, in their order.

    Of prompts that are nearly the same a held-out one stays, else the first.
    """
    clean: list[Prompt] = []
    for prompt, overlap in zip(prompts, await _overlaps(desk, [one.question for one in prompts]), strict=True):
        if overlap >= CONTAMINATED:
            material.drop(
                desk.stage.name, LEAKS, chunk=prompt.chunk, question=prompt.question, overlap=round(overlap, 4)
            )
        else:
            clean.append(prompt)
    kept: list[Prompt] = []
    repeated = await _repeated(desk, [one.question for one in clean], [one.is_held_out for one in clean])
    for prompt, other in zip(clean, repeated, strict=True):
        if other < 0:
            kept.append(prompt)
        else:
            material.drop(
                desk.stage.name,
                REPEATS,
                chunk=prompt.chunk,
                question=prompt.question,
                repeats=clean[other].question,
            )
    return kept


async def clean_rows(desk: Desk, material: Material, rows: Sequence[Row]) -> list[Row]:
    """The rows that may be trained on, in their order, those with personal data redacted and renamed.

    The settings `pii` (redact, drop, keep), `language` (a code; without one other languages are only warned of) and
    `near_duplicate` (a similarity) change what is left out.
    """
    rows = await _without_personal_data(desk, material, rows)
    rows = await _in_one_language(desk, material, rows)
    rows = await _uncontaminated(desk, material, rows)
    return await _without_repeats(desk, material, rows)


async def redacted(desk: Desk, values: Sequence[Any]) -> list[tuple[Any, list[str]]]:
    """Each plain value without the personal data in its strings, and the kinds of that."""
    texts = [strings(value) for value in values]
    every = [text for of_value in texts for text in of_value]
    found = await _of_each(desk, "hygiene.personal_data", every)
    clean: list[tuple[Any, list[str]]] = []
    start = 0
    for value, of_value in zip(values, texts, strict=True):
        finds = found[start : start + len(of_value)]
        start += len(of_value)
        kinds = sorted({find["kind"] for of_text in finds for find in of_text})
        clean.append((with_strings(value, map(redact, of_value, finds)), kinds))
    return clean


def hygiene_report(dropped: Sequence[Dropped], rows: Sequence[Row]) -> dict[str, int]:
    """How many were left out for each reason of hygiene, and how many rows were redacted."""
    reasons = Counter(one.reason for one in dropped)
    counts = {name: reasons[reason] for reason, name in _COUNTED.items()}
    return {**counts, "redacted_rows": sum("redacted" in row.provenance for row in rows)}


async def _without_personal_data(desk: Desk, material: Material, rows: Sequence[Row]) -> list[Row]:
    """The rows with personal data redacted or left out. Provenance quotes the source, so it is redacted either way."""
    setting = desk.spec.choice("pii", "redact")
    if setting == "keep":
        return list(rows)
    kept: list[Row] = []
    of_fields = await redacted(desk, [row.fields for row in rows])
    of_provenance = await redacted(desk, [row.provenance for row in rows])
    for row, (fields, kinds), (provenance, _) in zip(rows, of_fields, of_provenance, strict=True):
        renamed = {**fields, "id": row_id(fields)}
        if not kinds:
            kept.append(replace(row, provenance=provenance))
        elif setting == "drop" or not _is_of_use(row.fields, fields):
            _drop(desk, material, PERSONAL, replace(row, fields=renamed), kinds=kinds)
        else:
            kept.append(replace(row, fields=renamed, provenance={**provenance, "redacted": kinds}))
    return kept


def _is_of_use(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a redacted row still teaches: what an answer is checked by is untouched, two answers still differ."""
    if any(before.get(name) != after.get(name) for name in CHECKED_BY):
        return False
    better = after["messages"][-1]["content"] if "messages" in after else after.get("chosen")
    return "rejected" not in after or after["rejected"] != better


async def _in_one_language(desk: Desk, material: Material, rows: Sequence[Row]) -> list[Row]:
    found = await _of_each(desk, "hygiene.languages", [_text(row) for row in rows])
    sure = ["" if one["confidence"] < SURE_LANGUAGE else one["language"] for one in found]
    wanted = desk.spec.choice("language", "").lower()
    usual = wanted or max(sorted({*sure} - {""}), key=sure.count, default="")
    foreign = sum(language not in {usual, ""} for language in sure)
    if foreign and not wanted:
        desk.warn(
            f"{foreign} of {len(rows)} rows are not in {usual!r}, the language of most: "
            f"`--set language={usual}` leaves them out"
        )
    if not wanted:
        return list(rows)
    for row, language in zip(rows, sure, strict=True):
        if language not in {usual, ""}:
            _drop(desk, material, FOREIGN, row, found_language=language)
    return [row for row, language in zip(rows, sure, strict=True) if language in {usual, ""}]


async def _uncontaminated(desk: Desk, material: Material, rows: Sequence[Row]) -> list[Row]:
    kept: list[Row] = []
    for row, overlap in zip(rows, await _overlaps(desk, [_text(row) for row in rows]), strict=True):
        if overlap < CONTAMINATED:
            kept.append(row)
        else:
            _drop(desk, material, LEAKS, row, overlap=round(overlap, 4))
    return kept


async def _without_repeats(desk: Desk, material: Material, rows: Sequence[Row]) -> list[Row]:
    """The rows that differ. Two that share their answer only, such as two refusals, are not the same."""
    held_out = [row.is_held_out for row in rows]
    asked = await _repeated(desk, [_question(row) for row in rows], held_out)
    questions = [index if other < 0 else other for index, other in enumerate(asked)]
    kept: list[Row] = []
    repeated = await _repeated(desk, [_text(row) for row in rows], held_out, questions)
    for row, other in zip(rows, repeated, strict=True):
        if other < 0:
            kept.append(row)
        else:
            _drop(desk, material, REPEATS, row, repeats=rows[other].fields["id"])
    return kept


async def _overlaps(desk: Desk, texts: Sequence[str]) -> list[float]:
    """For each text the greatest share of an evaluation item that it contains."""
    evaluation = await desk.evaluation_texts()
    if not texts or not evaluation:
        return [0.0] * len(texts)
    return await _of_each(desk, "hygiene.contained", texts, evaluation=evaluation, n=CONTAMINATION_WORDS)


async def _of_each(desk: Desk, function: str, texts: Sequence[str], **arguments: object) -> list[Any]:
    """What the function finds in each text, asked in batches that the worker's pipe holds."""
    found: list[Any] = []
    start = 0
    while start < len(texts):
        end, size = start + 1, len(texts[start])
        while end < len(texts) and size + len(texts[end]) <= BATCH_CHARACTERS:
            size += len(texts[end])
            end += 1
        found += await desk.compute(function, {"texts": list(texts[start:end]), **arguments})
        start = end
    return found


async def _repeated(
    desk: Desk, texts: Sequence[str], held_out: Sequence[bool], groups: Sequence[int] = ()
) -> list[int]:
    """For each text the index of the one that it repeats, a held-out one if there is such; -1 for what stays."""
    sizes = Counter(groups)
    compared = [index for index in range(len(texts)) if not groups or sizes[groups[index]] > 1]
    if not compared:
        return [-1] * len(texts)
    order = sorted(compared, key=lambda index: not held_out[index])
    found = await desk.compute(
        "hygiene.duplicates",
        {
            "texts": [texts[index] for index in order],
            "threshold": desk.spec.setting("near_duplicate", NEAR_DUPLICATE),
            "groups": [groups[index] for index in order] if groups else [],
        },
    )
    repeated = [-1] * len(texts)
    for index, earlier in zip(order, found, strict=True):
        if earlier >= 0:
            repeated[index] = order[earlier]
    return repeated


def _drop(desk: Desk, material: Material, reason: str, row: Row, **evidence: object) -> None:
    content: dict[str, Any] = {**row.fields, **evidence, **spot(row.provenance)}
    material.drop(desk.stage.name, reason, **content)


def _question(row: Row) -> str:
    """What the row asks: its prompt, or what is said before the answer in its conversation."""
    if "messages" not in row.fields:
        return row.fields["prompt"]
    return "\n".join(turn["content"] for turn in _said(row)[:-1])


def _text(row: Row) -> str:
    return "\n".join(strings({**row.fields, "messages": _said(row)}))


def _said(row: Row) -> list[dict[str, str]]:
    """The turns of a conversation. Without the system prompt, which is alike in all rows and tells none apart."""
    return [turn for turn in row.fields.get("messages", ()) if turn["role"] != "system"]
