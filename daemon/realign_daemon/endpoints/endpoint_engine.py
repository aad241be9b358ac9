"""EndpointEngine: one model behind a server as an engine. It writes and judges; it is never trained or measured by."""

from __future__ import annotations

import asyncio
import hashlib
import json
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
from realign_daemon.endpoints.server import Failed, Gone, Refused, Server, Slow
from realign_daemon.engine.api import Fill, Filled, Generate, Generated, Message, Result, Task
from realign_daemon.engine.errors import BadTask, EndpointGone
from realign_daemon.engine.schema import SchemaError, parse

log = structlog.get_logger()

TRIES: Final = 3  # for an answer that fits its schema, and for one at all: as many as a unit has anywhere
REMEMBERED_S: Final = 900.0  # a failure: a unit is given out again within that, and outages are mostly further apart
SAMPLES: Final = 10  # of a judgement that has to be counted: shares in steps of a tenth
_CHARACTERS_PER_TOKEN: Final = 2  # of JSON at worst, so that a form always has room
_ANSWERS_S: Final = 60.0  # for one token of a model that is loaded, behind what else the server has to do
_HELLO: Final = (Message(role="user", content="Hello"),)
_SPARE_TOKENS: Final = 16  # for a fence or a blank line before a form


class TookTooLong(BadTask):
    """A server that answers others gave no answer in time. It may be on its way out, too."""


class EndpointEngine:
    """Asks for one model. Everything it raises is of engine/errors.py."""

    def __init__(self, server: Server, *, name: str, remote: str, abilities: Abilities) -> None:
        """`name` is what we call the model, `remote` what the server does."""
        self._server, self.name, self.remote, self.abilities = server, name, remote, abilities
        # By request: when it failed at a server that was well, the latest last.
        self._failures: dict[str, tuple[float, ...]] = {}

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
        replies = await self._samples(task, max_tokens=max_tokens)
        texts = [reply.text.rpartition(THINK_END)[2] for reply in replies]
        filled = counted(task.form, texts, prompt_tokens=sum(reply.prompt_tokens for reply in replies))
        if filled is None:
            raise BadTask(f"{self.name} filled the form of {task.template} in none of {SAMPLES} answers")
        return filled

    async def _samples(self, task: Fill, *, max_tokens: int) -> list[Reply]:
        """Answers at temperature 1. Where one does not come, nobody waits for the others."""
        bodies = [
            self._form_body(task, max_tokens=max_tokens, temperature=1.0, seed=sample) for sample in range(SAMPLES)
        ]
        asked = [asyncio.create_task(self._ask(body), name="endpoint.sample") for body in bodies]
        try:
            return await asyncio.gather(*asked)
        finally:
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

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
        url = str(self._server.settings.url)
        try:
            reply = read_reply(await self._server.ask(CHAT, body))
        except Refused as error:
            raise BadTask(f"{url} refuses a request to {self.name}: {error}") from error
        except Slow as error:
            raise TookTooLong(f"{self.name}: {url} {error}") from error
        except (Gone, NoReply) as error:
            if isinstance(error, Failed | NoReply) and await self._is_to_blame(body):
                raise BadTask(
                    f"{self.name}: {url} answers others, and to this request {TRIES} times {error}"
                ) from error
            log.warning("endpoint.gone", endpoint=self._server.settings.name, reason=str(error))
            raise EndpointGone(model=self.name, endpoint=url, cause=str(error)) from error
        self._failures.pop(_digest(body), None)
        return reply

    async def _is_to_blame(self, body: Mapping[str, object]) -> bool:
        """Whether a request has now failed so often, while the server answered another one, that it is the cause.

        Else what no server can answer would be asked for ever. A failure that others share is the server's.
        """
        if not await self._answers():
            return False
        now_s = self._server.clock.continuous()
        digest = _digest(body)
        self._failures = {one: at for one, at in self._failures.items() if now_s - at[-1] < REMEMBERED_S}
        failures = (*self._failures.pop(digest, ()), now_s)
        if len(failures) < TRIES:
            self._failures[digest] = failures
        return len(failures) >= TRIES

    async def _answers(self) -> bool:
        """Whether the model has an answer to a question that asks nothing special of it."""
        question = body_of(self.remote, _HELLO, Abilities(), temperature=0.0, max_tokens=1)
        try:
            read_reply(await self._server.ask(CHAT, question, tries=1, deadline_s=_ANSWERS_S, aside=True))
        except (Gone, Refused, NoReply):
            return False
        return True


def _digest(body: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
