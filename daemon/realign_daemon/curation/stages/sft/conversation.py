"""Conversation: how a trained model is asked, as its rows ask it: an optional system turn and the question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Generate, Message, Sha256


def opening(desk: Desk, question: str) -> tuple[Message, ...]:
    """The turns before the answer; `--set system=TEXT` puts a system turn first."""
    system = desk.spec.choice("system", "")
    first = (Message(role="system", content=system),) if system else ()
    return (*first, *load(desk.pin("target").templates).template("response").render(question=question))


def turns(row: Mapping[str, Any]) -> tuple[Message, ...]:
    """The turns of a row."""
    return tuple(Message(role=turn["role"], content=turn["content"]) for turn in row["messages"])


def greedy_tasks(desk: Desk, questions: Sequence[str], *, adapter: Sha256 | None) -> list[Generate]:
    """Tasks that have the target answer each question by itself, with the likeliest token each time."""
    template = load(desk.pin("target").templates).template("response")
    max_tokens = int(desk.spec.setting("max_tokens", template.sampler.max_tokens))
    return [
        Generate(
            model=desk.pin("target").model,
            adapter=adapter,
            messages=opening(desk, question),
            sampler=replace(template.sampler, temperature=0.0, top_p=1.0, max_tokens=max_tokens),
            seed=0,
            template=template.id,
            thinking=desk.spec.thinking_of("target"),
        )
        for question in questions
    ]
