"""Answers: sampled responses to prompts, each with its own seed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Prompt, Response
from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.stages.measures import Measures, rate, share
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Generate, Sha256
from realign_daemon.work.units import seed_for
from realign_planner.plan import Role

AnswerKind = Literal["answer", "response"]  # with the passage at hand, or from the question alone


async def generate_responses(desk: Desk, material: Material) -> Measures:
    """Stage 2: several responses of the baseline to every prompt. Measures valid, truncated and distinct fractions."""
    temperatures = load(desk.pin("target").templates).temperatures
    desk.say(f"{len(temperatures)} responses to each of {len(material.prompts)} prompts")
    material.responses = await sample(
        desk, material.prompts, role="target", kind="response", temperatures=temperatures, adapter=material.adapter
    )
    return sampling(material.responses, [prompt.id for prompt in material.prompts], len(temperatures))


def sampling(responses: Sequence[Response], prompt_ids: Sequence[str], samples: int) -> Measures:
    """How the samples came out of which each prompt was asked for so many.

    valid_fraction, of those that are neither empty nor cut off, truncated_fraction, and distinct_fraction: the share of
    prompts whose valid samples are not all the same, the least that a preference or a reward needs.
    """
    texts: dict[str, list[str]] = defaultdict(list)
    for response in responses:
        if normalise(response.text) and not response.is_truncated:
            texts[response.prompt.id].append(normalise(response.text))
    truncated = Counter(response.prompt.id for response in responses if response.is_truncated)
    several = sum(len({*texts[prompt_id]}) > 1 for prompt_id in prompt_ids)
    return {
        "valid_fraction": share("valid_fraction", [(len(texts[one]), samples) for one in prompt_ids]),
        "truncated_fraction": share("truncated_fraction", [(truncated[one], samples) for one in prompt_ids]),
        "distinct_fraction": rate("distinct_fraction", several, len(prompt_ids)),
    }


async def sample(
    desk: Desk,
    prompts: Sequence[Prompt],
    *,
    role: Role,
    kind: AnswerKind,
    temperatures: Sequence[float],
    adapter: Sha256 | None,
) -> list[Response]:
    """A response for every prompt and temperature, in that order; units that were given up are left out."""
    template = load(desk.pin(role).templates).template(kind)
    max_tokens = int(desk.spec.setting("max_tokens", template.sampler.max_tokens))
    asked = [(prompt, number, temperature) for prompt in prompts for number, temperature in enumerate(temperatures)]
    tasks = [
        Generate(
            model=desk.pin(role).model,
            adapter=adapter,
            messages=(
                template.render(question=prompt.question, chunk=prompt.chunk.text)
                if kind == "answer"
                else template.render(question=prompt.question)
            ),
            sampler=replace(template.sampler, temperature=temperature, max_tokens=max_tokens),
            seed=seed_for(desk.spec.seed, prompt.id, number) if temperature else 0,
            template=template.id,
            schema=template.schema,
            thinking=desk.spec.thinking_of(role),
        )
        for prompt, number, temperature in asked
    ]
    results = await desk.generate(role, tasks)
    return [
        Response(
            prompt=prompt,
            text=template.text_of(result.text, kind),
            task=task,
            is_truncated=result.finish_reason == "length",
        )
        for (prompt, _, _), task, result in zip(asked, tasks, results, strict=True)
        if result is not None
    ]
