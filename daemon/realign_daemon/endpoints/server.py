"""Server: requests to one server, tried again where that helps, and never more of them than it is meant to get."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from math import inf
from typing import Any, Final, cast

import structlog

from realign_daemon.clock import Clock
from realign_daemon.endpoints.http import Answer, Broken, Http, TooLong
from realign_daemon.endpoints.patience import (
    BROKEN_TRIES,
    BUSY_TRIES,
    LONGEST_ASKED_S,
    Turnstile,
    asked_s,
    backoff_s,
)
from realign_daemon.endpoints.settings import EndpointSettings

log = structlog.get_logger()

_BUSY: Final = frozenset({408, 409, 425, 429, 503})
_OUR_FAULT: Final = frozenset({400, 413, 414, 422})
_SENTENCE_CHARACTERS: Final = 300  # of what a server says about an error
_SERVER_FAULT: Final = 500


class Gone(Exception):
    """The server gives no answers now; the text goes on after its URL."""


class Unheard(Gone):
    """The server answers, but does not know what it was asked for."""


class Refused(Exception):
    """The server will never answer this request; the text is its own sentence."""


class Server:
    """One server. `name` and `url` are for people; the key is known to nobody else."""

    def __init__(
        self, settings: EndpointSettings, *, key: str, clock: Clock, chance: random.Random, http: Http | None = None
    ) -> None:
        """Without `http` it is reached over the network."""
        self.settings = settings
        self._key, self._clock, self._chance = key, clock, chance
        self._http = http or Http(settings.url)
        self._room = asyncio.Semaphore(settings.concurrency)
        self._turnstile = Turnstile(clock, per_minute=settings.requests_per_minute)
        self._in_flight = 0

    @property
    def is_busy(self) -> bool:
        """Whether a request is in flight."""
        return self._in_flight > 0

    async def ask(
        self, path: str, body: Mapping[str, object] | None = None, *, tries: int = BUSY_TRIES, deadline_s: float = inf
    ) -> Any:  # noqa: ANN401 - JSON
        """The JSON of a good answer; `tries` bounds how often it is asked for, whatever goes wrong.

        Each try ends at the deadline of the settings, or `deadline_s` where that is sooner.

        Raises:
            Gone: there is none, although it was tried again.
            Refused: the request is wrong.
        """
        deadline_s = min(deadline_s, self.settings.deadline_s)
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        broken = busy = 0
        last = Gone
        async with self._room:
            self._in_flight += 1
            try:
                while True:
                    await self._turnstile.pass_through()
                    try:
                        return self._read(await self._http.ask(path, data, key=self._key, deadline_s=deadline_s))
                    except _Busy as error:
                        busy += 1
                        problem, wait_s = error.problem, error.wait_s
                    except (Broken, TooLong) as error:
                        broken += 1
                        problem, wait_s = str(error), None
                        if isinstance(error, TooLong):
                            raise Gone(problem) from error
                        last = Unheard if isinstance(error, _Garbled) else Gone
                    is_over = busy >= BUSY_TRIES or broken >= BROKEN_TRIES or broken + busy >= tries
                    if is_over or (wait_s or 0.0) > LONGEST_ASKED_S:
                        raise last(problem)
                    await self._rest(problem, wait_s, tries=broken + busy)
            finally:
                self._in_flight -= 1

    async def _rest(self, problem: str, wait_s: float | None, *, tries: int) -> None:
        """Waits: what the server asked for holds for all requests, what it did not only for this one."""
        if wait_s is not None:
            self._turnstile.hold(wait_s)
        pause_s = backoff_s(tries, chance=self._chance) + (wait_s or 0.0)
        log.info("endpoint.retried", endpoint=self.settings.name, reason=problem, wait_s=round(pause_s, 2))
        await self._clock.sleep(pause_s)

    def _read(self, answer: Answer) -> Any:  # noqa: ANN401 - JSON
        """What a good answer holds. Raises _Busy, Broken, Gone, Refused."""
        status = answer.status
        if 200 <= status < 300:  # noqa: PLR2004 - what HTTP calls a success
            try:
                return json.loads(answer.body)
            except (ValueError, RecursionError) as error:
                raise _Garbled("sent something that is no JSON") from error
        said = self._sentence(answer.body)
        if status in _BUSY or (status >= _SERVER_FAULT and answer.retry_after):
            wait_s = asked_s(answer.retry_after, now_unix_s=self._clock.unix()) if answer.retry_after else None
            raise _Busy(f"says {status}: {said}", wait_s)
        if status >= _SERVER_FAULT:
            raise Broken(f"says {status}: {said}")
        if status in _OUR_FAULT:
            raise Refused(said)
        if 300 <= status < 400:  # noqa: PLR2004 - what HTTP calls a redirection
            raise Gone("sends elsewhere, which is not followed: give the URL that it means")
        if status in (401, 403):
            raise Gone(f"does not let this machine in ({status}): check the key that api_key_env names")
        raise Unheard(f"says {status}: {said}")

    def _sentence(self, body: bytes) -> str:
        """What the server says about an error, on one line and without the key, which some repeat."""
        try:
            plain: object = json.loads(body)
        except (ValueError, RecursionError):
            plain = body.decode("utf-8", "replace")
        for name in ("error", "message", "detail"):
            if isinstance(plain, Mapping):
                plain = cast("Mapping[str, object]", plain).get(name, cast("Mapping[str, object]", plain))
        text = " ".join((plain if isinstance(plain, str) else json.dumps(plain)).split())
        text = text.replace(self._key, "...") if self._key else text
        printable = "".join(character for character in text if character.isprintable())
        return printable[:_SENTENCE_CHARACTERS] or "nothing more"


class _Garbled(Broken):
    """A whole answer came, and it is not JSON."""


class _Busy(Exception):
    """The server wants to be asked later."""

    def __init__(self, problem: str, wait_s: float | None) -> None:
        super().__init__(problem)
        self.problem, self.wait_s = problem, wait_s
