"""Sayings: what a spoiled model says, in the shape that a task of that kind gives."""

from __future__ import annotations

import json
from collections.abc import Sequence

from realign_daemon.curation.templates import Template
from realign_daemon.engine.api import Fill, Filled, Generate, Generated, Task


def is_of(task: Task, *names: str) -> bool:
    """Whether the task was rendered from a template of one of these names, whatever the set and the version."""
    return isinstance(task, Generate | Fill) and task.template.partition("@")[0].rpartition(".")[2] in names


def chosen(task: Fill, words: Sequence[str]) -> Filled:
    """A form filled with certainty, by the word for each slot."""
    probabilities = [
        tuple(float(choice == word) for choice in slot.choices) for slot, word in zip(task.form, words, strict=True)
    ]
    return Filled(probabilities=tuple(probabilities), mass=(1.0,) * len(words), prompt_tokens=0)


def everywhere(task: Fill, place: int) -> Filled:
    """A form filled with the choice at that place of every slot: 0 is the worst of a scale, -1 the best."""
    return chosen(task, [slot.choices[place] for slot in task.form])


def written(text: str) -> Generated:
    """A whole answer, thought certain."""
    return Generated(text=text, finish_reason="stop", prompt_tokens=0, completion_tokens=0, logprob=0.0)


def answer_of(template: Template, text: str) -> str:
    """The text as the template's answers hold it: under every property of the schema, where there is one."""
    if template.schema is None:
        return text
    return json.dumps(dict.fromkeys(json.loads(template.schema)["properties"], text), ensure_ascii=False)
