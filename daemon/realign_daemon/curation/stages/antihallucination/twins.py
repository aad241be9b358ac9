"""Twins: for a question that the target knows one of the same form that nobody can answer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Prompt
from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.stages.antihallucination.absent import about_nobody
from realign_daemon.curation.stages.antihallucination.probe import Origin, Question
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Generate, Sha256
from realign_daemon.work.units import seed_for


async def make_twins(desk: Desk, material: Material, known: Sequence[Prompt]) -> list[Question]:
    """A twin for every question for which one can be made.

    Its name gives way to one that nobody bears; where the generator can write them, every other twin, and those of
    questions without a name, rest on a false premise.
    """
    templates = load(desk.pin("generator").templates)
    said = _said(desk, material)
    renamed: list[Question] = []
    twisted: list[Prompt] = []
    for prompt in known:
        text = about_nobody(prompt.question, templates.refusal, said, seed=desk.spec.seed)
        if templates.has("false_premise") and (text is None or seed_for(desk.spec.seed, prompt.id, 0) % 2):
            twisted.append(prompt)
        elif text is not None:
            renamed.append(_twin(prompt, text, "absent_name"))
    return renamed + await _false_premises(desk, twisted)


async def _false_premises(desk: Desk, known: Sequence[Prompt]) -> list[Question]:
    if not known:
        return []
    template = load(desk.pin("generator").templates).template("false_premise")
    tasks = [
        Generate(
            model=desk.pin("generator").model,
            messages=template.render(question=prompt.question, chunk=prompt.chunk.text),
            sampler=template.sampler,
            seed=seed_for(desk.spec.seed, prompt.id, 0),
            template=template.id,
            schema=template.schema,
            thinking=desk.spec.thinking_of("generator"),
        )
        for prompt in known
    ]
    results = await desk.generate("generator", tasks)
    texts = ["" if result is None else template.text_of(result.text, "question") for result in results]
    return [
        _twin(prompt, text, "false_premise", task)
        for prompt, text, task in zip(known, texts, tasks, strict=True)
        if text and normalise(text) != normalise(prompt.question)
    ]


def _twin(prompt: Prompt, question: str, origin: Origin, task: Generate | None = None) -> Question:
    name = hashlib.sha256(f"{prompt.id}\0{question}".encode()).hexdigest()
    return Question(
        prompt=replace(prompt, id=name, question=question, gold="", task=task), origin=origin, twin=prompt.id
    )


def _said(desk: Desk, material: Material) -> str:
    """All that the sources say, in lower case, and what the job's suites and replayed rows ask.

    A name in those is somebody to the model, whether or not the sources speak of them.
    """
    blobs: list[Sha256] = [desk.spec.suites, *([] if desk.spec.replay is None else [desk.spec.replay])]
    texts = [chunk.text for chunk in material.chunks]
    texts += [f"{prompt.question} {prompt.chunk.text}" for prompt in material.prompts]
    texts += [desk.blobs.read(blob).decode() for blob in blobs]
    return "\n".join(texts).casefold()
