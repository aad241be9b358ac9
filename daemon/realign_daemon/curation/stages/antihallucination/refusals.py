"""Refusals: the rows. Known questions with their answers, and all others with the words for "I don't know"."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Literal

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.drops import without_dropped
from realign_daemon.curation.judgement import evidence
from realign_daemon.curation.material import Material, Row
from realign_daemon.curation.stages.antihallucination.agreement import usual
from realign_daemon.curation.stages.antihallucination.parts import Part, parts_of
from realign_daemon.curation.stages.antihallucination.probe import Probe
from realign_daemon.curation.stages.hygiene import clean_rows
from realign_daemon.curation.stages.rows import made, row
from realign_daemon.curation.templates import load
from realign_daemon.work.units import seed_for

Label = Literal["answer", "abstain"]

# Answers for each refusal at most: more dilute what is to be learned, fewer teach to refuse always. On the pocket model
# (2026-11-23, three seeds) two left 0 to 2.5 % of the known questions refused and 71 % and more of the unknown ones.
ANSWERS_EACH = 2


async def make_rows(desk: Desk, material: Material) -> None:
    """Sets material.rows. What teaches nothing clear, or outweighs the other kind of rows, is dropped with a reason."""
    parts = parts_of(material.probes, seed=desk.spec.seed)
    wanted: dict[Part, list[Probe]] = {"training": [], "test": []}
    for probe in material.probes:
        part = parts.of(probe.prompt)
        reason = _why_not(probe, part, is_paired=desk.spec.choice("method", "sft") == "dpo")
        if reason:
            _drop(desk, material, probe, reason)
        else:
            wanted[part].append(probe)
    kept: list[Probe] = []
    for part, found in wanted.items():
        probes = _not_dropped(desk, material, found)
        chosen = balanced(probes, count=desk.spec.count if part == "training" else None, seed=desk.spec.seed)
        names = {probe.prompt.id for probe in chosen}
        for probe in probes:
            if probe.prompt.id not in names:
                _drop(desk, material, probe, "there are too many of its kind, answers or refusals, beside the others")
        kept += chosen
    material.rows = await clean_rows(desk, material, [_row(desk, probe) for probe in kept])


def _not_dropped(desk: Desk, material: Material, probes: Sequence[Probe]) -> list[Probe]:
    """The probes whose rows nobody dropped by hand: those give their room to others."""
    made_of = [_row(desk, probe) for probe in probes]
    kept, dropped = without_dropped(made_of, desk.spec.drops, stage=desk.stage.name)
    material.dropped.extend(dropped)
    names = {one.fields["id"] for one in kept}
    return [probe for probe, one in zip(probes, made_of, strict=True) if one.fields["id"] in names]


def balanced(probes: Sequence[Probe], *, count: int | None, seed: int) -> list[Probe]:
    """Known and other questions in proportion, drawn by hash; at most `count` of them.

    At most ANSWERS_EACH known ones for each other one, and no more others than known ones. Known ones whose twin is
    there come first: beside each other the two show what the difference is.
    """

    def draw(probe: Probe) -> int:
        return seed_for(seed, probe.prompt.id, 2)

    others = sorted((probe for probe in probes if probe.knowledge != "known"), key=draw)
    known = [probe for probe in probes if probe.knowledge == "known"]
    refusals = min(len(others), len(known))
    if count is not None:
        refusals = min(refusals, max(ceil(count / (1 + ANSWERS_EACH)), count - len(known)))
    twinned = {probe.question.twin for probe in others[:refusals]}
    known.sort(key=lambda probe: (probe.prompt.id not in twinned, draw(probe)))
    answers = ANSWERS_EACH * refusals if count is None else min(ANSWERS_EACH * refusals, count - refusals)
    return known[:answers] + others[:refusals]


def _why_not(probe: Probe, part: Part, *, is_paired: bool) -> str:
    """Why a question makes no row, which is paired with a worse one for training by preference; empty when it does."""
    if part == "scaling":
        return "the question is set apart, to fit the scale of the confidences"
    if probe.knowledge == "unknown" and is_paired and not probe.attempts:
        return "the target never gave a wrong answer that a refusal could be preferred to"
    if probe.knowledge != "unsure":
        return ""
    if not probe.is_answered:
        return "most answers to the question are empty, cut off or were given up"
    if probe.question.twin:
        return "the target has a right answer to a question that was meant to have none"
    return "the target is right now and then, so the question is neither known nor unknown"


def _row(desk: Desk, probe: Probe) -> Row:
    is_known = probe.knowledge == "known"
    label: Label = "answer" if is_known else "abstain"
    words = load(desk.pin("target").templates).refusal.words
    own = usual(probe, "right" if is_known else "wrong")
    said = own.text if is_known and own is not None else words
    fields: dict[str, object] = {
        "messages": [{"role": "user", "content": probe.prompt.question}, {"role": "assistant", "content": said}],
        "label": label,
    }
    if desk.spec.choice("method", "sft") == "dpo" and own is not None:
        fields["rejected"] = words if is_known else own.text
    outcomes = [answer.outcome for answer in probe.answers]
    judged = {answer.text: answer.judgements for answer in probe.answers if answer.judgements}
    return row(
        desk,
        probe.prompt,
        fields,
        answered_by=None if own is None else made(desk, "target", own.task),
        probe={
            "origin": probe.question.origin,
            "twin": probe.question.twin,
            "right": outcomes.count("right"),
            "abstained": outcomes.count("abstained"),
            "wrong": outcomes.count("wrong"),
            "asked": probe.asked,
        },
        judge={"models": evidence(({"of": text}, one) for text in judged for one in judged[text])} if judged else None,
    )


def _drop(desk: Desk, material: Material, probe: Probe, reason: str) -> None:
    material.drop(
        desk.stage.name,
        reason,
        chunk=probe.prompt.chunk,
        question=probe.prompt.question,
        origin=probe.question.origin,
        answers=[answer.text for answer in probe.answers],
    )
