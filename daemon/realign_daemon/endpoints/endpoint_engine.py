"""EndpointEngine: one model behind a server as an engine. It writes and judges; it is never trained or measured by."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import structlog

from realign_daemon.endpoints.acquaintance import CHAT
from realign_daemon.endpoints.chat import (
    THINK_END,
    Abilities,
    NoReply,
    Reply,
    body_of,
    fitted,
    generate_body,
    generated,
    read_reply,
)
from realign_daemon.endpoints.forms import counted, read_off
from realign_daemon.endpoints.server import Gone, Refused, Server
from realign_daemon.engine.api import Fill, Filled, Generate, Generated, Result, Task
from realign_daemon.engine.errors import BadTask, EndpointGone
from realign_daemon.engine.schema import SchemaError, parse

log = structlog.get_logger()

TRIES: Final = 3  # for an answer that fits its schema: as many as a unit has anywhere
SAMPLES: Final = 10  # of a judgement that has to be counted: shares in steps of a tenth
_CHARACTERS_PER_TOKEN: Final = 2  # of JSON at worst, so that a form always has room
_SPARE_TOKENS: Final = 16  # for a fence or a blank line before a form


class EndpointEngine:
    """Asks for one model. Everything it raises is from engine/errors.py."""

    def __init__(self, server: Server, *, name: str, remote: str, abilities: Abilities) -> None:
        """`name` is what we call the model, `remote` what the server does."""
        self._server, self.name, self.remote, self.abilities = server, name, remote, abilities

    @property
    def server(self) -> Server:
        """Where the model is."""
        return self._server

    async def perform(self, task: Task) -> Result:
        """See Engine. Raises EndpointGone, BadTask."""
        if task.adapter is not None:
            raise BadTask(f"{self.name} is at {self._server.settings.url}, which does not have the job's adapter")
        match task:
            case Generate():
                return await self._generate(task)
            case Fill():
                return await self._fill(task)
            case _:
                raise BadTask(
                    f"a task of kind {task.kind!r} needs the weights, and {self.name} is at "
                    f"{self._server.settings.url}: name a model of your own machines with --target"
                )

    async def _generate(self, task: Generate) -> Generated:
        if task.schema is None:
            return self._read(await self._ask(generate_body(self.remote, task, self.abilities, seed=task.seed)), task)
        try:
            schema = parse(task.schema)
        except SchemaError as error:
            raise BadTask(str(error)) from error
        for place in range(TRIES):
            seed = (task.seed + place) & 0x7FFFFFFF
            found = self._read(await self._ask(generate_body(self.remote, task, self.abilities, seed=seed)), task)
            marks, end, answer = found.text.rpartition(THINK_END) if task.thinking == "keep" else ("", "", found.text)
            text = fitted(answer, schema)
            if text is not None:
                return replace(found, text=f"{marks}{end}\n\n{text}" if end else text, finish_reason="stop")
            if task.sampler.temperature == 0:
                break  # it would say the same again
        raise BadTask(f"{self.name} gave no answer that fits the schema of {task.template}")

    def _read(self, reply: Reply, task: Generate) -> Generated:
        try:
            return generated(reply, task.thinking)
        except NoReply as error:
            raise BadTask(f"{self.name}: {self._server.settings.url} {error}") from error

    async def _fill(self, task: Fill) -> Filled:
        """By the probabilities of a greedy answer's tokens; where there are none, by counting sampled answers."""
        length = sum(len(slot.before) + max(map(len, slot.choices)) for slot in task.form)
        is_bare = len(task.form) == 1 and not task.form[0].before
        max_tokens = 1 if is_bare else length // _CHARACTERS_PER_TOKEN + _SPARE_TOKENS
        if self.abilities.top_logprobs:
            body = self._form_body(task, max_tokens=max_tokens, temperature=0.0, shows=True)
            reply = await self._ask(body)
            filled = read_off(task.form, reply.tokens, prompt_tokens=reply.prompt_tokens)
            if filled is not None:
                return filled
        bodies = [
            self._form_body(task, max_tokens=max_tokens, temperature=1.0, seed=sample) for sample in range(SAMPLES)
        ]
        replies = await asyncio.gather(*map(self._ask, bodies))
        texts = [reply.text.rpartition(THINK_END)[2] for reply in replies]
        filled = counted(task.form, texts, prompt_tokens=sum(reply.prompt_tokens for reply in replies))
        if filled is None:
            raise BadTask(f"{self.name} filled the form of {task.template} in none of {SAMPLES} answers")
        return filled

    def _form_body(
        self, task: Fill, *, max_tokens: int, temperature: float, shows: bool = False, seed: int | None = None
    ) -> dict[str, object]:
        return body_of(
            self.remote,
            task.messages,
            self.abilities,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            shows=shows,
        )

    async def _ask(self, body: Mapping[str, object]) -> Reply:
        try:
            return read_reply(await self._server.ask(CHAT, body))
        except Refused as error:
            raise BadTask(f"{self._server.settings.url} refuses a request to {self.name}: {error}") from error
        except (Gone, NoReply) as error:
            url = str(self._server.settings.url)
            log.warning("endpoint.gone", endpoint=self._server.settings.name, reason=str(error))
            raise EndpointGone(model=self.name, endpoint=url, cause=str(error)) from error
