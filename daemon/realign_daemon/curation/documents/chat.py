"""Chat: a list of turns, and the question and the answer in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

_ROLES: Mapping[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
}
# A record's conversation, and not one side of a pair.
_WHOLE = ("messages", "conversation", "conversations")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says; the role is empty for others than the system, the user and the assistant."""

    role: Literal["system", "user", "assistant", ""]
    content: str


def turns_of(value: object) -> tuple[Turn, ...]:
    """The turns when the value is a chat of {"role", "content"} or {"from", "value"}; else none."""
    if not isinstance(value, list):
        return ()
    found = [_turn(item) for item in cast("list[object]", value)]
    return tuple(turn for turn in found if turn is not None) if None not in found else ()


def flattened(key: str, turns: Sequence[Turn], record: Mapping[str, object]) -> dict[str, str]:
    """The fields that a chat under this key of the record gives, less those that the record has of its own.

    A whole conversation gives `question` and `answer`: its last answer and what the user said before, and `system`.
    One side of a pair, or a prompt, gives its last turn, and its question when the record has no prompt.
    """
    answered = max((place for place, turn in enumerate(turns) if turn.role == "assistant"), default=len(turns))
    said = {turn.role: turn.content for turn in turns[: answered + 1]}
    named = {"question": said.get("user"), "answer": said.get("assistant"), "system": said.get("system")}
    if key in _WHOLE:
        return {name: text for name, text in named.items() if text is not None and name not in record}
    question = said.get("user")
    if question is None or key in {"prompt", "question"} or "prompt" in record or "question" in record:
        return {key: turns[-1].content}
    return {"question": question, key: turns[-1].content}


def _turn(item: object) -> Turn | None:
    if not isinstance(item, dict):
        return None
    turn = cast("dict[str, object]", item)
    for role_key, content_key in (("role", "content"), ("from", "value")):
        role = turn.get(role_key)
        if isinstance(role, str) and content_key in turn:
            return Turn(_ROLES.get(role.lower(), ""), _said(turn[content_key]))
    return None


def _said(content: object) -> str:
    """A turn's text; of one in parts, as of pictures and text, the text."""
    if isinstance(content, list):
        parts = [cast("dict[str, object]", part) for part in cast("list[object]", content) if isinstance(part, dict)]
        return "\n".join(text for part in parts if isinstance(text := part.get("text"), str))
    return content if isinstance(content, str) else ""
