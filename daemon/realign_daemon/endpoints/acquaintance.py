"""Acquaintance: what a server can do with one of its models, and which model that is, found out by asking it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from realign_daemon.endpoints.chat import Abilities, body_of, read_reply, response_format
from realign_daemon.endpoints.server import Gone, Refused, Server, Unheard
from realign_daemon.engine.api import Message, ModelId

CHAT: Final = "/v1/chat/completions"
MODELS: Final = "/v1/models"
UNLISTED: Final = "default_model"  # mlx_lm.server's word for what it was started with, where it lists nothing
# What OpenAI takes, what mlx_lm.server takes, and what is left of a judgement of five grades at least.
_ALTERNATIVES: Final = (20, 10, 5)
# Short, and open enough that two models seldom say the same.
_QUESTIONS: Final = ("12+34=", "Name three rivers.", "Continue: The old lighthouse")
_VOICE_TOKENS: Final = 12
# With a bound, as ours have: some servers refuse those.
_SCHEMA: Final[Mapping[str, object]] = {
    "type": "object",
    "properties": {"a": {"type": "string", "maxLength": 4}},
    "required": ["a"],
    "additionalProperties": False,
}
_TRIES: Final = 2
_LIST_S: Final = 15.0  # for a list, which needs no model; an answer may need one that is loaded first


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquaintance:
    """A model behind a server."""

    model: ModelId
    abilities: Abilities


async def listed(server: Server) -> dict[str, dict[str, Any]]:
    """What the server says of each of its models, by name; empty where it lists none. Raises Gone."""
    try:
        plain: object = await server.ask(MODELS, tries=_TRIES, deadline_s=_LIST_S)
    except (Refused, Unheard):  # as mlx_lm.server does where nothing was ever fetched from the hub
        return {}
    data: object = cast("Mapping[str, Any]", plain).get("data") if isinstance(plain, Mapping) else None
    entries = cast("list[object]", data) if isinstance(data, list) else []
    models = [cast("dict[str, Any]", one) for one in entries if isinstance(one, dict)]
    return {str(one["id"]): one for one in models if isinstance(one.get("id"), str)}


async def meet(server: Server, remote: str, said: Mapping[str, Any]) -> Acquaintance:
    """Has the model answer, and finds out what else it takes. `said` is the server's own entry of it.

    The id is a hash of the model's name there, who owns it, the server's fingerprint, and its greedy answers to a few
    fixed questions, and of nothing else: the same weights behind another URL are the same model, and other weights
    under the same name are another one, unless they answer alike. `created` is left out: some servers put the time of
    the request there.

    Raises:
        Gone: it gives no answer.
    """
    try:
        first = await server.ask(CHAT, _question(remote, Abilities(), _QUESTIONS[0]), tries=_TRIES)
        abilities = await _abilities(server, remote)
        voice = [await _answer(server, remote, abilities, question) for question in _QUESTIONS]
    except (Refused, ValueError) as error:
        raise Gone(f"does not answer as {remote}: {error}") from error
    fingerprint = cast("Mapping[str, Any]", first).get("system_fingerprint")
    known = {
        "remote": remote.rsplit("/", maxsplit=1)[-1] if remote.startswith("/") else remote,
        "owned_by": said.get("owned_by"),
        "fingerprint": fingerprint,
        "voice": voice,
    }
    identity = json.dumps(known, sort_keys=True, ensure_ascii=False, default=str)
    return Acquaintance(model=ModelId(hashlib.sha256(identity.encode()).hexdigest()), abilities=abilities)


async def _abilities(server: Server, remote: str) -> Abilities:
    """Each thing tried with one token. A server that takes something and heeds it not cannot be told from others."""
    plain = _question(remote, Abilities(), _QUESTIONS[0], max_tokens=1)

    async def takes(more: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON, or None
        try:
            return await server.ask(CHAT, {**plain, **more}, tries=_TRIES)
        except (Refused, Gone):
            return None

    top = 0
    for count in _ALTERNATIVES:
        answer = await takes({"logprobs": True, "top_logprobs": count})
        if answer is not None:
            top = count if read_reply(answer).tokens else 0
            break
    return Abilities(
        top_logprobs=top,
        template_arguments=await takes({"chat_template_kwargs": {"enable_thinking": False}}) is not None,
        seeds=server.settings.seeds and await takes({"seed": 1}) is not None,
        schemas=await takes({"response_format": response_format(_SCHEMA)}) is not None,
    )


async def _answer(server: Server, remote: str, abilities: Abilities, question: str) -> str:
    body = _question(remote, replace(abilities, seeds=False), question)
    return read_reply(await server.ask(CHAT, body, tries=_TRIES)).text


def _question(
    remote: str, abilities: Abilities, question: str, *, max_tokens: int = _VOICE_TOKENS
) -> dict[str, object]:
    messages = (Message(role="user", content=question),)
    return body_of(remote, messages, abilities, temperature=0.0, max_tokens=max_tokens)
