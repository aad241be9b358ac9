"""Render: what a row becomes in the model's tokens, and whether it comes out of them again as it went in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from jinja2.exceptions import TemplateError

from realign_daemon.engine import api
from realign_daemon.engine.child.tokens import Vocabulary
from realign_daemon.engine.errors import BadTask


def render(task: api.Render, vocabulary: Vocabulary) -> api.Rendered:
    """The row in tokens, made the way a training run makes it: the prompt is read, the completion is learned.

    Raises:
        BadTask: the conversation does not end with an answer. What is wrong with a row is an answer, no error.
    """
    if not task.messages or task.messages[-1].role != "assistant":
        message = "a row ends with the assistant's turn: add the answer"
        raise BadTask(message)
    *before, answer = task.messages
    try:
        prompt = vocabulary.prompt(before, thinking=False)
    except BadTask as error:
        return api.Rendered(prompt_tokens=0, completion_tokens=0, problem=str(error))
    completion = vocabulary.completion(answer.content)
    return api.Rendered(
        prompt_tokens=len(prompt),
        completion_tokens=len(completion),
        problem=_turns(task.messages, vocabulary)
        or _contents(before, answer, prompt, completion, vocabulary)
        or _mask(task.messages, vocabulary),
    )


def _turns(messages: Sequence[api.Message], vocabulary: Vocabulary) -> str:
    """A control token spelled out in a turn would end or begin one."""
    control = set(cast("list[int]", vocabulary.tokenizer.all_special_ids))
    spelled = [message.role for message in messages if control & set(vocabulary.plain(message.content))]
    return f"the {spelled[0]} turn spells out a control token of the model" if spelled else ""


def _contents(
    before: Sequence[api.Message],
    answer: api.Message,
    prompt: Sequence[int],
    completion: Sequence[int],
    vocabulary: Vocabulary,
) -> str:
    text, place = _decoded(prompt, vocabulary), 0
    for message in before:
        found = text.find(message.content, place)
        if found < 0:
            return f"the {message.role} turn does not come back from the model's tokens as it was"
        place = found + len(message.content)
    if _decoded(completion[:-1], vocabulary) != answer.content:
        return "the assistant turn does not come back from the model's tokens as it was"
    return ""


def _mask(messages: Sequence[api.Message], vocabulary: Vocabulary) -> str:
    """What is learned must be all that the template puts after the prompt: the answer and an end.

    Blanks may differ, and reasoning that is empty or not begun: many templates write it for the next answer only.
    """
    ends = {_decoded([token], vocabulary) for token in vocabulary.end_tokens}
    try:
        opened, whole = _written(messages[:-1], vocabulary, is_open=True), _written(messages, vocabulary, is_open=False)
    except (TemplateError, ValueError) as error:
        return f"the model's chat template refuses the answered conversation ({error})"
    opened, whole = (_without_empty_reasoning(text, vocabulary) for text in (opened, whole))
    answer = messages[-1].content.strip()
    written = whole.removeprefix(opened).strip()
    if whole.startswith(opened) and written.startswith(answer) and written[len(answer) :].strip() in {"", *ends}:
        return ""
    return "the model's chat template writes more than the answer and its end after the prompt"


def _without_empty_reasoning(text: str, vocabulary: Vocabulary) -> str:
    tokenizer = vocabulary.tokenizer
    start, end = tokenizer.think_start or "<think>", tokenizer.think_end or "</think>"
    return re.sub(rf"{re.escape(start)}\s*({re.escape(end)}\s*|\Z)", "", text)


def _written(messages: Sequence[api.Message], vocabulary: Vocabulary, *, is_open: bool) -> str:
    turns = [{"role": message.role, "content": message.content} for message in messages]
    return cast(
        "str",
        vocabulary.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=is_open, enable_thinking=False
        ),
    )


def _decoded(tokens: Sequence[int], vocabulary: Vocabulary) -> str:
    return cast("str", vocabulary.tokenizer.decode(list(tokens), skip_special_tokens=False))
