"""Data prep: stage 1 of SFT. Questions out of the documents, and an answer to each with the passage at hand."""

from __future__ import annotations

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Prompt, Response
from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.stages import answers, grounding, prompts, suites
from realign_daemon.curation.stages.measures import Measures, rate
from realign_daemon.curation.templates import load

FIRST_STAGE = "quality_filter"


async def data_prep(desk: Desk, material: Material) -> Measures:
    """Prompts, their answers, and the frozen suites.

    Measures text_ratio, and over all prompts valid_fraction (those with a whole answer, written or given) and
    truncated_fraction.
    """
    material.prompts, material.responses = [], []
    found = await grounding.read_sources(desk, material, load(desk.pin("target").templates))
    if not desk.is_rejected(found["text_ratio"]):  # else no question to such text is worth the time
        await prompts.draw_prompts(desk, material)
        desk.say("freezing the regression suites")
        material.suites_before = await suites.run(desk, adapter=None)
        await answer_prompts(desk, material)
    whole = {response.prompt.id for response in material.responses if is_whole(response)}
    for prompt in material.prompts:
        if prompt.id not in whole:
            reason = "its answer is empty, cut at the token limit, or was given up"
            material.drop(desk.stage.name, reason, chunk=prompt.chunk, question=prompt.question)
    material.show(
        desk.stage.name,
        [{"question": response.prompt.question, "answer": response.text} for response in material.responses],
    )
    truncated = sum(response.is_truncated for response in material.responses)
    return {
        **found,
        "valid_fraction": rate("valid_fraction", len(whole), len(material.prompts)),
        "truncated_fraction": rate("truncated_fraction", truncated, len(material.prompts)),
    }


async def answer_prompts(desk: Desk, material: Material) -> None:
    """Sets the responses: the answer that was given with a prompt, else one that the generator writes."""
    template = load(desk.pin("generator").templates)
    asked = [prompt for prompt in material.prompts if not prompt.gold]
    desk.say(f"writing {len(asked)} answers")
    written = await answers.sample(
        desk, asked, role="generator", kind="answer", temperatures=(template.lesson_temperature,), adapter=None
    )
    by_prompt = {response.prompt.id: response for response in written}
    given = {prompt.id: _given(prompt) for prompt in material.prompts if prompt.gold}
    found = by_prompt | given
    material.responses = [found[prompt.id] for prompt in material.prompts if prompt.id in found]


async def take_answers(desk: Desk, material: Material) -> str:
    """Fills prompts and responses from records that were given; filtering comes first."""
    await grounding.read_sources(desk, material, load(desk.pin("target").templates))
    await prompts.draw_prompts(desk, material)
    for prompt in material.prompts:
        if not prompt.gold:
            material.drop(desk.stage.name, "the record has no answer", chunk=prompt.chunk, question=prompt.question)
    material.prompts = [prompt for prompt in material.prompts if prompt.gold]
    material.suites_before = await suites.run(desk, adapter=None)
    await answer_prompts(desk, material)
    return FIRST_STAGE


def is_whole(response: Response) -> bool:
    """Whether there is an answer, and all of it."""
    return bool(normalise(response.text)) and not response.is_truncated


def _given(prompt: Prompt) -> Response:
    return Response(prompt=prompt, text=prompt.gold, task=None, is_truncated=False)
