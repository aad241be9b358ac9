"""ShareGPT: rows as conversations of `from` and `value`, the format of LLaMA-Factory, Axolotl and others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_SPEAKERS: Final = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}


def conversation(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The row with `conversations` in the place of its messages or its prompt, its other fields beside it.

    Where there is a better and a worse answer both become turns of the model, `chosen` and `rejected`, beside a
    conversation that ends before them, as LLaMA-Factory's `ranking` data sets have it.

    Raises:
        KeyError: the row has neither messages nor a prompt, or an unknown role speaks in it.
    """
    others = {key: value for key, value in fields.items() if key not in {"messages", "prompt"}}
    messages = fields["messages"] if "messages" in fields else [{"role": "user", "content": fields["prompt"]}]
    if "rejected" in others:
        if "chosen" not in others:
            *messages, answer = messages
            others["chosen"] = answer["content"]
        others |= {side: _turn("assistant", others[side]) for side in ("chosen", "rejected")}
    return {"conversations": [_turn(message["role"], message["content"]) for message in messages], **others}


def _turn(role: str, text: str) -> dict[str, str]:
    return {"from": _SPEAKERS[role], "value": text}
