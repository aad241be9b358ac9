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
from realign_daemon.endpoints.http import Answer, Broken, Http, Silent, TooLong, Unreached
from realign_daemon.endpoints.patience import BUSY_TRIES, LONGEST_ASKED_S, Tries, Turnstile, asked_s, backoff_s
from realign_daemon.endpoints.settings import EndpointSettings

log = structlog.get_logger()

MODELS: Final = "/v1/models"
ALIVE_S: Final = 15.0  # for a list of models, which servers give while they generate
_BUSY: Final = frozenset({408, 409, 425, 429, 503})
_OUR_FAULT: Final = frozenset({400, 413, 414, 422})
_SENTENCE_CHARACTERS: Final = 300  # of what a server says about an error
_SERVER_FAULT: Final = 500


class Gone(Exception):
    """The server gives no answers now; the text goes on after its URL."""


class Failed(Gone):
    """The server is there, and has no good answer to this request: another one it may answer."""


class Stumbled(Failed):
    """The server says that the fault is its own: another time it may answer the same request."""


class Unheard(Failed):
    """The server answers, but not what it was asked."""


class Busy(Gone):
    """The server, or what it has for this request, wants to be left alone for longer than is waited."""


class Slow(Gone):
    """The server answers others, and this request not in the time that it has."""


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
        self._room, self._aside = asyncio.Semaphore(settings.concurrency), asyncio.Semaphore(1)
        self._turnstile = Turnstile(clock, per_minute=settings.requests_per_minute)
        self._in_flight = 0

    @property
    def clock(self) -> Clock:
        """By which its waits are reckoned."""
        return self._clock

    @property
    def is_busy(self) -> bool:
        """Whether a request is in flight."""
        return self._in_flight > 0

    async def ask(
        self,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        tries: int = BUSY_TRIES,
        deadline_s: float = inf,
        aside: bool = False,
    ) -> Any:  # noqa: ANN401 - JSON
        """The JSON of a good answer; `tries` bounds how often it is asked for, whatever goes wrong.

        Each try ends at the deadline of the settings, or `deadline_s` where that is sooner. A request `aside` waits for
        no other to end: one such may be in flight beside as many as the settings allow.

        Raises:
            Gone: there is none, although it was tried again; or one of its kinds, where that is known.
            Refused: the request is wrong.
        """
        deadline_s = min(deadline_s, self.settings.deadline_s)
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        so_far = Tries(most=tries)
        async with self._aside if aside else self._room:
            self._in_flight += 1
            try:
                while True:
                    await self._turnstile.pass_through()
                    wait_s = None
                    try:
                        return self._read(await self._http.ask(path, data, key=self._key, deadline_s=deadline_s))
                    except _Busy as error:
                        so_far.busy += 1
                        problem, wait_s = Busy(error.problem), error.wait_s
                    except Silent as error:
                        so_far.late += 1
                        problem = await self._late(path, str(error))
                    except Broken as error:
                        so_far.broken += 1
                        problem = _problem(error)
                    except TooLong as error:
                        raise Failed(str(error)) from error
                    if so_far.are_over or (wait_s or 0.0) > LONGEST_ASKED_S:
                        raise problem
                    await self._rest(str(problem), wait_s, tries=so_far.count)
            finally:
                self._in_flight -= 1

    async def _late(self, path: str, said: str) -> Slow:
        """What is wrong with an answer that took too long, where the server is alive. Raises Gone where it is not."""
        if path == MODELS:
            raise Gone(said)
        deadline_s = min(ALIVE_S, self.settings.deadline_s)
        try:
            answer = await self._http.ask(MODELS, None, key=self._key, deadline_s=deadline_s)
        except Broken as error:
            raise Gone(f"{said}, and asked for its models it {error}") from error
        except TooLong:
            pass  # it is alive
        else:
            if answer.status >= _SERVER_FAULT:  # a proxy whose server is away
                raise Gone(f"{said}, and asked for its models it says {answer.status}")
        return Slow(f"{said}, though it answers other requests: give it a larger deadline_s, or less concurrency")

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
            return self._read_good(answer)
        said = self._sentence(answer.body)
        if status in _BUSY or (status >= _SERVER_FAULT and answer.retry_after):
            wait_s = asked_s(answer.retry_after, now_unix_s=self._clock.unix()) if answer.retry_after else None
            raise _Busy(f"says {status}: {said}", wait_s)
        if status >= _SERVER_FAULT:
            raise _OwnFault(f"says {status}: {said}")
        if status in _OUR_FAULT:
            raise Refused(said)
        if 300 <= status < 400:  # noqa: PLR2004 - what HTTP calls a redirection
            raise Failed("sends elsewhere, which is not followed: give the URL that it means")
        if status in (401, 403):
            raise Failed(f"does not let this machine in ({status}): check the key that api_key_env names")
        raise Unheard(f"says {status}: {said}")

    def _read_good(self, answer: Answer) -> Any:  # noqa: ANN401 - JSON
        """Some servers (LM Studio, proxies) call good what is an error: LM Studio answers any wrong path so."""
        try:
            plain: object = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise _Garbled("sent something that is no JSON") from error
        if isinstance(plain, Mapping):
            told = cast("Mapping[str, object]", plain)
            if told.get("error") and not told.keys() & {"choices", "data"}:
                raise _Garbled(f"says {answer.status}, and yet an error: {self._sentence(answer.body)}")
        return cast("Any", plain)

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


def _problem(error: Broken) -> Gone:
    match error:
        case _Garbled():
            return Unheard(str(error))
        case _OwnFault():
            return Stumbled(str(error))
        case Unreached():
            return Gone(str(error))
        case _:
            return Failed(str(error))


class _Garbled(Broken):
    """A whole answer came, and it is not what was asked for."""


class _OwnFault(Broken):
    """A whole answer came, and it says that the server has failed."""


class _Busy(Exception):
    """The server wants to be asked later."""

    def __init__(self, problem: str, wait_s: float | None) -> None:
        super().__init__(problem)
        self.problem, self.wait_s = problem, wait_s
