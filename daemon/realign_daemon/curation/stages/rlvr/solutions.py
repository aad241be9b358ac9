"""Solutions: stage 2 of RLVR. Several samples of the target for every problem, each with its own seed; all are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Response
from realign_daemon.curation.stages.answers import sampling
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.curation.stages.rlvr import extraction
from realign_daemon.curation.stages.rlvr.problem import Problem, sound
from realign_daemon.curation.templates import Template, load
from realign_daemon.engine.api import Generate, Message, Sha256
from realign_daemon.work.units import seed_for

# Between the four that show a pass rate at all and the sixteen that show it well.
SAMPLES = 8


async def generate_solutions(desk: Desk, material: Material) -> Measures:
    """Stage 2. Measures valid and truncated fractions, and the share of problems whose samples differ."""
    await extraction.settle(desk, material)
    problems, samples = sound(material), samples_wanted(desk)
    desk.say(f"{samples} solutions to each of {len(problems)} problems")
    material.responses = await sample(desk, problems, adapter=None)
    material.show(
        desk.stage.name, [{"problem": one.prompt.question, "solution": one.text} for one in material.responses]
    )
    return sampling(material.responses, [problem.prompt.id for problem in problems], samples)


def samples_wanted(desk: Desk) -> int:
    """Samples of each problem."""
    return int(desk.spec.setting("samples", SAMPLES))


def asked_as(template: Template, problem: Problem) -> tuple[Message, ...]:
    """The conversation that a problem opens."""
    if problem.is_code:
        return template.render(question=problem.prompt.question, calls=problem.calls)
    return template.render(question=problem.prompt.question)


async def sample(desk: Desk, problems: Sequence[Problem], *, adapter: Sha256 | None) -> list[Response]:
    """The target's solutions, all of a problem's together; units that were given up are left out.

    A problem's samples have the same seeds with every adapter: what differs between two is the training.
    """
    templates, thinking = load(desk.pin("target").templates), desk.spec.thinking_of("target")
    asked = [(problem, number) for problem in problems for number in range(samples_wanted(desk))]
    tasks: list[Generate] = []
    for problem, number in asked:
        template = templates.template("program" if problem.is_code else "solution")
        max_tokens = int(desk.spec.setting("max_tokens", template.sampler.max_tokens))
        tasks.append(
            Generate(
                model=desk.pin("target").model,
                adapter=adapter,
                messages=asked_as(template, problem),
                sampler=replace(template.sampler, max_tokens=max_tokens),
                seed=seed_for(desk.spec.seed, problem.prompt.id, number),
                template=template.id,
                thinking=thinking,
            )
        )
    results = await desk.generate("target", tasks)
    return [
        Response(
            prompt=problem.prompt,
            text=result.text.strip(),
            task=task,
            is_truncated=result.finish_reason == "length",
        )
        for (problem, _), task, result in zip(asked, tasks, results, strict=True)
        if result is not None
    ]
