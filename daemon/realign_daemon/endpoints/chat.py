"""Chat: tasks as bodies of chat completions, and what came of them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Final, cast

from realign_daemon.endpoints.forms import Token
from realign_daemon.engine.api import Generate, Generated, Message, Thinking
from realign_daemon.engine.schema import Schema, fits, written

THINK_START, THINK_END = "<think>", "</think>"
_REASON_CHARACTERS: Final = 40
_LARGEST_COUNT: Final = 2**31 - 1  # more tokens than there are, and few enough for every ledger and message
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # JSON can say it, and UTF-8 can't
# How byte-level and SentencePiece vocabularies write blanks; mlx_lm.server gives tokens as its vocabulary has them.
_BLANKS: Final = str.maketrans({"Ġ": " ", "Ċ": "\n", "▁": " "})


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a server takes beside messages and a sampler. What it does not take it refuses, or was never heard to do."""

    top_logprobs: int = 0  # alternatives that it shows of each token; 0: it gives no probabilities
    template_arguments: bool = False  # chat_template_kwargs, which can ask a model to reason or not
    efforts: bool = False  # reasoning_effort, which can ask it not to; Ollama heeds nothing else
    seeds: bool = False
    schemas: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A chat completion."""

    text: str
    reasoning: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    tokens: tuple[Token, ...]  # empty where the server gives no probabilities


class NoReply(ValueError):
    """What the server sent is no chat completion."""


def body_of(
    remote: str,
    messages: Sequence[Message],
    abilities: Abilities,
    *,
    temperature: float,
    max_tokens: int,
    top_p: float = 1.0,
    seed: int | None = None,
    thinks: bool = False,
    shows: bool = False,
    schema: str | None = None,
) -> dict[str, object]:
    """The body of a request. `shows` asks for the probabilities of all that might have stood in each place."""
    body: dict[str, object] = {
        "model": remote,
        "messages": [{"role": one.role, "content": one.content} for one in messages],
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "stream": False,
    }
    if abilities.seeds and seed is not None and temperature > 0:
        body["seed"] = seed
    if abilities.template_arguments:
        body["chat_template_kwargs"] = {"enable_thinking": thinks}
    if abilities.efforts and not thinks:
        body["reasoning_effort"] = "none"
    if shows and abilities.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": abilities.top_logprobs}
    if schema is not None and abilities.schemas:
        body["response_format"] = response_format(json.loads(schema))
    return body


def response_format(schema: object) -> dict[str, object]:
    """How a server is asked for an answer that fits a JSON schema."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def generate_body(remote: str, task: Generate, abilities: Abilities, *, seed: int) -> dict[str, object]:
    """The request for a completion."""
    sampler = task.sampler
    return body_of(
        remote,
        task.messages,
        abilities,
        temperature=sampler.temperature,
        top_p=sampler.top_p,
        max_tokens=sampler.max_tokens,
        seed=seed,
        thinks=task.thinking != "off",
        schema=task.schema,
    )


def read_reply(plain: object) -> Reply:
    """The completion in an answer. Raises NoReply."""
    try:
        answer = cast("Mapping[str, Any]", plain)
        choice = cast("Mapping[str, Any]", answer["choices"][0])
        message = cast("Mapping[str, Any]", choice["message"])
        usage = cast("Mapping[str, Any]", answer.get("usage") or {})
        logprobs = cast("Mapping[str, Any]", choice.get("logprobs") or {})
        shown = cast("list[Mapping[str, Any]]", logprobs.get("content") or [])
        return Reply(
            text=_plain(message.get("content")),
            reasoning=_plain(message.get("reasoning_content") or message.get("reasoning")),
            finish_reason=str(choice.get("finish_reason") or "stop")[:_REASON_CHARACTERS],
            prompt_tokens=_count(usage.get("prompt_tokens")),
            completion_tokens=_count(usage.get("completion_tokens")),
            tokens=tuple(_token(one) for one in shown if one.get("top_logprobs")),
        )
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise NoReply("sent something that is no chat completion") from error


def generated(reply: Reply, thinking: Thinking) -> Generated:
    """The completion as an engine gives it.

    Raises:
        NoReply: it is neither whole nor cut at its length, as where a filter took it away.
    """
    if reply.finish_reason not in ("stop", "length"):
        raise NoReply(f"ended its answer because of {reply.finish_reason!r}")
    reasoning, text = _split(reply, opened=thinking != "off")
    if thinking == "keep" and reasoning:
        text = f"{THINK_START}\n{reasoning}\n{THINK_END}\n\n{text}"
    return Generated(
        text=text,
        reasoning="" if thinking == "off" else reasoning,
        finish_reason="length" if reply.finish_reason == "length" else "stop",
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        logprob=nan,  # nothing that an endpoint writes is weighed by it, and servers disagree on what it is
    )


def fitted(text: str, schema: Schema) -> str | None:
    """The first JSON value in a text, as engines write it, if it fits the schema; None where none does.

    Servers that enforce no schema let models put fences or words around it.
    """
    start = min((place for place in map(text.find, '{["') if place >= 0), default=-1)
    if start < 0:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return written(value) if fits(schema, value) else None


def _split(reply: Reply, *, opened: bool) -> tuple[str, str]:
    """Reasoning and answer, whether the server split them or left the marks in; `opened`: it was asked to reason.

    A template may open the reasoning itself, so that the text begins within it. Reasoning without an end was cut off,
    and no answer follows.
    """
    if reply.reasoning:
        return reply.reasoning.strip(), reply.text.strip() if opened else reply.text
    before, end, after = reply.text.partition(THINK_END)
    if end:
        return before.replace(THINK_START, "", 1).strip(), after.strip()
    if reply.text.lstrip().startswith(THINK_START):
        return reply.text.replace(THINK_START, "", 1).strip(), ""
    return "", reply.text


def _plain(said: Any) -> str:  # noqa: ANN401 - JSON
    """A text that can be written down. Raises TypeError where it is none."""
    return _LONE_SURROGATE.sub("\ufffd", said or "")


def _count(said: Any) -> int:  # noqa: ANN401 - JSON
    return max(0, min(int(said or 0), _LARGEST_COUNT))


def _token(shown: Mapping[str, Any]) -> Token:
    """A place of a greedy answer: what stands there is the likeliest, whichever the server lists first."""
    listed = cast("list[Mapping[str, Any]]", shown["top_logprobs"])
    alternatives = {str(one["token"]).translate(_BLANKS): float(one["logprob"]) for one in listed}
    return Token(text=max(alternatives, key=alternatives.__getitem__), alternatives=tuple(alternatives.items()))
