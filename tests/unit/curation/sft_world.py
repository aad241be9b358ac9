"""The SFT workflow's material for tests, and a desk at which the pocket model's world answers as it should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from realign_daemon.curation.export import row_id
from realign_daemon.curation.material import Material, Row
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.engine.api import (
    Fill,
    Filled,
    Fuse,
    Fused,
    Generate,
    Generated,
    Render,
    Rendered,
    Score,
    Scored,
    Sha256,
    Task,
    Trained,
)
from realign_daemon.engine.pocket import world
from realign_daemon.testing.scripted_desk import ScriptedDesk, asked, prompt

SUMS = world.split().loops.sums
TRAINED = Trained(adapter=Sha256("adapter"), steps=4, points=(), step_losses=(4.0, 3.0, 2.0, 1.0), trained_tokens=9)


def in_the_world(task: Task) -> Any:
    """The pocket model as it should be: it answers and grades by the truth, and scores right answers better."""
    match task:
        case Fill():
            question, equals, answer = asked(task).removeprefix("G").partition("=")
            grade = world.true_grade(question + equals, answer)
            return Filled(
                probabilities=(tuple(float(digit == grade) for digit in range(1, 6)),), mass=(1,), prompt_tokens=1
            )
        case Score():
            is_right = task.messages and world.gold_answer(asked(task)) == task.completion
            return Scored(logprob=-1.0 if is_right else -8.0, tokens=4)
        case Render():
            return Rendered(prompt_tokens=9, completion_tokens=4, problem="")
        case Generate():
            return said(world.gold_answer(asked(task)))
        case Fuse():
            return Fused(weights=Sha256("fused"), answers=tuple(in_the_world(one) for one in task.prompts))
        case _:
            raise AssertionError(task)


def said(text: str, *, is_cut: bool = False) -> Generated:
    reason = "length" if is_cut else "stop"
    return Generated(text=text, finish_reason=reason, prompt_tokens=1, completion_tokens=1, logprob=0.0)


def otherwise(change: Callable[[Any], Any]) -> Callable[[Task], Any]:
    """The world, but for what `change` gives; it gives NotImplemented where it has nothing to say."""

    def answer(task: Task) -> Any:
        changed = change(task)
        return in_the_world(task) if changed is NotImplemented else changed

    return answer


def desk(answer: Callable[[Task], Any] = in_the_world, **changes: Any) -> ScriptedDesk:
    return ScriptedDesk(answer, blobs={"suites": ""}, data_type="sft", **changes)


def given_answers(questions: Sequence[str], answers: Sequence[str] | None = None, *, held_out: int = 0) -> Material:
    """Prompts with the answers that were given with them, true ones by default; the last `held_out` are held out."""
    told = [world.gold_answer(question) for question in questions] if answers is None else answers
    border = len(questions) - held_out
    prompts = [
        prompt(question, gold=answer, is_held_out=place >= border)
        for place, (question, answer) in enumerate(zip(questions, told, strict=True))
    ]
    return Material(prompts=prompts)


def row(question: str, *, is_held_out: bool = False) -> Row:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": world.gold_answer(question)}]
    fields = {"messages": messages}
    return Row(fields={"id": row_id(fields), **fields}, provenance={"prompt_id": question}, is_held_out=is_held_out)


def values(found: Measures) -> dict[str, float | None]:
    return {name: measure.value for name, measure in found.items()}


def reasons(material: Material) -> Counter[str]:
    return Counter(one.reason for one in material.dropped)


def filled(*shares: float) -> Filled:
    return Filled(probabilities=(shares,), mass=(1.0,), prompt_tokens=1)
