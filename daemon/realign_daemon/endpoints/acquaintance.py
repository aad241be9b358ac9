"""Acquaintance: what a server can do with one of its models, and which model that is, found out by asking it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from realign_daemon.endpoints.chat import Abilities, NoReply, Reply, body_of, read_reply, response_format
from realign_daemon.endpoints.server import MODELS, Failed, Refused, Server, Stumbled, Unheard
from realign_daemon.engine.api import Message, ModelId

CHAT: Final = "/v1/chat/completions"
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
_NAME_CHARACTERS: Final = 256
# What LM Studio's other list calls them, what Together and Mistral do, and how LM Studio and OpenAI begin their names.
_NO_CHAT: Final = frozenset({"embedding", "embeddings", "rerank", "reranker"})
_EMBEDDING: Final = "text-embedding-"


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
    return {name: one for one in models if isinstance(name := one.get("id"), str) and _is_name(name)}


def may_chat(remote: str, said: Mapping[str, Any]) -> bool:
    """Whether a listed model may be one that writes: not where its entry or its name says that it makes embeddings."""
    kind: object = said.get("type")
    is_other = isinstance(kind, str) and kind.lower() in _NO_CHAT
    return not is_other and not remote.rsplit("/", maxsplit=1)[-1].startswith(_EMBEDDING)


async def meet(
    server: Server, remote: str, said: Mapping[str, Any], *, abilities: Abilities | None = None
) -> Acquaintance:
    """Has the model answer, and finds out what else it takes. `said` is the server's own entry of it.

    With `abilities`, those it was found to have before, it is only asked whether it is still the same model.

    The id is a hash of the model's name there, who owns it, the server's fingerprint, and its greedy answers to a few
    fixed questions, and of nothing else: the same weights behind another URL are the same model, and other weights
    under the same name are another one, unless they answer alike. `created` is left out: some servers put the time of
    the request there.

    Raises:
        Failed, Busy, Slow: this model gives no answer, though the server does.
        Gone: the server gives none.
    """
    try:
        first = await server.ask(CHAT, _question(remote, Abilities(), _QUESTIONS[0]), tries=_TRIES)
        read_reply(first)
        abilities = abilities or await _abilities(server, remote)
        voice = [await _answer(server, remote, abilities, question) for question in _QUESTIONS]
    except (Refused, NoReply) as error:
        raise Failed(f"does not answer as {remote}: {error}") from error
    fingerprint = cast("Mapping[str, Any]", first).get("system_fingerprint")
    known = {
        "remote": remote.rsplit("/", maxsplit=1)[-1] if remote.startswith("/") else remote,
        "owned_by": _word(said.get("owned_by")),
        "fingerprint": _word(fingerprint),
        "voice": voice,
    }
    identity = json.dumps(known, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
    return Acquaintance(model=ModelId(digest), abilities=abilities)


async def _abilities(server: Server, remote: str) -> Abilities:
    """Each thing tried with one token. A server that takes something and heeds it not cannot be told from others.

    Raises Stumbled where the server fails at everything, which says nothing of what it takes.
    """
    plain = _question(remote, Abilities(), _QUESTIONS[0], max_tokens=1)

    async def takes(more: Mapping[str, object]) -> Reply | None:
        for may_pass in (True, False):
            try:
                return read_reply(await server.ask(CHAT, {**plain, **more}, tries=_TRIES))
            except Stumbled:
                if may_pass:  # some servers always fall over what they do not know: those answer without it
                    await server.ask(CHAT, plain, tries=_TRIES)
            except (Refused, Failed, NoReply):
                return None
        return None

    top = 0
    for count in _ALTERNATIVES:
        reply = await takes({"logprobs": True, "top_logprobs": count})
        if reply is not None:
            top = count if reply.tokens else 0
            break
    return Abilities(
        top_logprobs=top,
        template_arguments=await takes({"chat_template_kwargs": {"enable_thinking": False}}) is not None,
        efforts=await takes({"reasoning_effort": "none"}) is not None,
        seeds=server.settings.seeds and await takes({"seed": 1}) is not None,
        schemas=await takes({"response_format": response_format(_SCHEMA)}) is not None,
    )


async def _answer(server: Server, remote: str, abilities: Abilities, question: str) -> str:
    """What it says; of one that can't be kept from reasoning, how it begins to reason."""
    body = _question(remote, replace(abilities, seeds=False), question)
    reply = read_reply(await server.ask(CHAT, body, tries=_TRIES))
    return reply.text or reply.reasoning


def _word(said: object) -> str | None:
    """What servers give as a text, or not at all."""
    return said if isinstance(said, str) else None


def _is_name(name: str) -> bool:
    """Whether people and other nodes can be told a server's name for a model."""
    return 0 < len(name) <= _NAME_CHARACTERS and name.isprintable()


def _question(
    remote: str, abilities: Abilities, question: str, *, max_tokens: int = _VOICE_TOKENS
) -> dict[str, object]:
    messages = (Message(role="user", content=question),)
    return body_of(remote, messages, abilities, temperature=0.0, max_tokens=max_tokens)
