"""Deployment: stage 7 of SFT. Whether what is handed over answers at all."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Prompt
from realign_daemon.curation.stages.measures import Measures, rate
from realign_daemon.curation.stages.sft.conversation import greedy_tasks
from realign_daemon.engine.api import Fuse, Generate, Generated, Sha256

SMOKE_PROMPTS = 20  # with 16 and more, all of them answered, the lower end of the interval is above 0.8
# Text that shrinks more than this repeats itself; the bound by which Whisper finds its own loops (arXiv 2212.04356).
REPETITION_RATIO = 2.4


async def deploy(desk: Desk, material: Material) -> Measures:
    """Measures smoke_fraction: the share of questions that get a whole answer which does not go round in circles.

    They are asked of the adapter on its model or, with `--set fuse=yes` or `--set quantise_bits=N`, of a new model
    with the adapter in its weights, read again from what was written.
    """
    material.fused = None
    if material.adapter is None:
        return {"smoke_fraction": rate("smoke_fraction", 0, 0)}
    questions = smoke_questions(material.prompts)
    bits = int(desk.spec.setting("quantise_bits", 0)) or None
    if bits or desk.spec.choice("fuse", "no") == "yes":
        prompts = tuple(greedy_tasks(desk, questions, adapter=None))
        answers = await _ask_fused(desk, material, prompts, adapter=material.adapter, bits=bits)
    else:
        desk.say(f"asking {len(questions)} smoke questions")
        answers = await desk.generate("target", greedy_tasks(desk, questions, adapter=material.adapter))
    faults = [fault(answer) for answer in answers]
    shown: list[dict[str, object]] = [
        {"question": question, "answer": answer.text if answer else None, "fault": wrong or None}
        for question, answer, wrong in zip(questions, answers, faults, strict=True)
    ]
    material.show(desk.stage.name, [{"adapter": material.adapter, "model": material.fused}, *shown])
    return {"smoke_fraction": rate("smoke_fraction", faults.count(""), len(faults))}


async def _ask_fused(
    desk: Desk, material: Material, prompts: tuple[Generate, ...], *, adapter: Sha256, bits: int | None
) -> Sequence[Generated | None]:
    """What the fused model says; its blob goes into the material."""
    desk.say(f"writing the adapter into the weights and asking {len(prompts)} smoke questions")
    model = desk.pin("target").model
    fused = await desk.fuse("target", Fuse(model=model, adapter=adapter, quantise_bits=bits, prompts=prompts))
    material.fused = fused.weights if fused else None
    return fused.answers if fused else [None] * len(prompts)


def smoke_questions(prompts: Sequence[Prompt]) -> list[str]:
    """Questions for a first look: held-out ones before others."""
    return [prompt.question for prompt in sorted(prompts, key=lambda one: not one.is_held_out)][:SMOKE_PROMPTS]


def fault(answer: Generated | None) -> str:
    """What is wrong with an answer, whatever was asked; empty when nothing is."""
    if answer is None:
        return "given up"
    if answer.finish_reason == "length":
        return "cut at the token limit"
    text = answer.text.strip().encode()
    if not text:
        return "empty"
    return "repeats itself" if len(text) / len(zlib.compress(text)) > REPETITION_RATIO else ""
