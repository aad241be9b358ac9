"""Endpoints: the servers that this node may ask for models, and the models that answered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Final, Protocol

import structlog

from realign_daemon.clock import Clock
from realign_daemon.endpoints.acquaintance import Acquaintance, listed, meet
from realign_daemon.endpoints.endpoint_engine import EndpointEngine
from realign_daemon.endpoints.post import LOOK_EVERY_S, MOST_LISTED, Post
from realign_daemon.endpoints.server import Busy, Failed, Gone, Server, Slow
from realign_daemon.endpoints.settings import EndpointSettings
from realign_daemon.endpoints.url import ServerUrl, read_url
from realign_daemon.engine.api import LocalModel, ModelId
from realign_daemon.engine.errors import EndpointGone
from realign_daemon.errors import BadInput, NothingFits
from realign_planner.model_names import bits_in, size_in

log = structlog.get_logger()

KNOWN_S: Final = 600.0  # how long a model is trusted to be the one that it was: Ollama swaps weights while it runs
MOST_OPENED: Final = 32  # servers that jobs have named
UNKNOWN_BITS: Final = 16


class Pinned(Protocol):
    """A model as a job keeps it: see curation.spec.ModelPin."""

    @property
    def endpoint(self) -> str: ...  # noqa: D102 - see there
    @property
    def remote(self) -> str: ...  # noqa: D102
    @property
    def templates(self) -> str: ...  # noqa: D102


class Endpoints:
    """`run` must be running for configured servers to be noticed; a job's is asked when the job names it."""

    def __init__(
        self,
        configured: Iterable[EndpointSettings],
        *,
        environment: Mapping[str, str],
        clock: Clock,
        chance: random.Random,
    ) -> None:
        """`environment` holds the keys, which stay here."""
        self._environment, self._clock, self._chance = environment, clock, chance
        self._posts = [self._post(settings, is_configured=True) for settings in configured]
        self._opened: list[Post] = []

    @property
    def models(self) -> tuple[LocalModel, ...]:
        """Every model that has answered; that its server is away now is for `serve` to find out."""
        return tuple(model for post in self._all() for model, _ in post.met.values())

    def engine(self, model: ModelId) -> EndpointEngine | None:
        """What performs this model's tasks; None for a model that no server here has. One that is up goes first."""
        found = [
            (remote in post.up, engine)
            for post in self._all()
            for remote, (one, engine) in post.met.items()
            if one.model == model
        ]
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def is_configured(self, url: str) -> bool:
        """Whether the URL is that of a server in the configuration. Raises BadInput when it is none."""
        return any(post.server.settings.url == _read(url) for post in self._posts)

    async def run(self) -> None:
        """Looks for servers and models that have not answered yet, until cancelled. None waits for another server."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for post in self._all():
                    if not post.is_settled and not post.looking.locked():
                        tasks.create_task(self._look_safely(post), name=f"endpoint.look {post.server.settings.name}")
                await self._clock.sleep(LOOK_EVERY_S)

    async def open(self, url: str, remote: str = "", *, templates: str = "") -> LocalModel:
        """The model at a URL that a job names, after it has answered.

        Without a name it is the only one that the server lists, or what the server has where it lists none. A server of
        the configuration is asked as it says there, with its key; no other gets a key.

        Raises:
            BadInput: the URL is none, or the server has several models and none was named.
            NothingFits: it does not answer.
        """
        place = _read(url)
        post = self._at(place, templates)
        try:
            said = await listed(post.server)
            remote = remote or _only(post, said)
            model = await self._met(post, remote, said.get(remote, {}), templates=templates)
        except Gone as error:
            raise NothingFits(f"{place} {error}; see to it that the server runs and answers this machine") from error
        self._keep(post, remote, templates)
        return model

    async def reopen(self, pins: Iterable[Pinned]) -> None:
        """Has what a job was promised asked for: at once, and where its server is away, until it is back."""
        for url, remote, templates in {(pin.endpoint, pin.remote, pin.templates) for pin in pins if pin.endpoint}:
            if any(model.endpoint == url and model.remote == remote for model in self.models):
                continue
            post = self._at(_read(url), templates)
            self._keep(post, remote, templates)
            post.missing.pop(remote, None)
            await self._look(post, only=remote)

    async def serve(self, model: LocalModel) -> EndpointEngine:
        """What performs the model's tasks, after its server has answered as that model a short while ago.

        Raises:
            EndpointGone: it does not, or as another one.
        """
        for post in self._all():
            known, engine = post.met.get(model.remote, (None, None))
            if engine is None or str(post.server.settings.url) != model.endpoint or known != model:
                continue
            await self._confirm(post, model, engine)
            return engine
        raise EndpointGone(model=model.name, endpoint=model.endpoint, cause="does not have this model any more")

    async def confirm(self, engine: EndpointEngine) -> None:
        """Like serve, for a model that is in use: a long job leaves its server no moment without requests."""
        for post in self._all():
            model, known = post.met.get(engine.remote, (None, None))
            if model is not None and known is engine:
                await self._confirm(post, model, engine)

    def lose(self, engine: EndpointEngine) -> None:
        """Notes that a server has stopped to answer: it has to answer again before it is given anything."""
        for post in self._all():
            if post.server is engine.server:
                post.up.clear()

    async def _confirm(self, post: Post, model: LocalModel, engine: EndpointEngine) -> None:
        if self._clock.continuous() - post.up.get(model.remote, float("-inf")) <= KNOWN_S:
            return
        is_first = not post.confirming.locked()
        async with post.confirming:  # of many units that find it due one asks
            if is_first:
                await self._ask_again(post, model, engine)
            elif model.remote not in post.up:
                raise EndpointGone(model=model.name, endpoint=model.endpoint, cause="does not answer as it did")

    async def _ask_again(self, post: Post, model: LocalModel, engine: EndpointEngine) -> None:
        """Has the model answer as the one that it was. One that does not stays known, and is asked again next time."""
        post.up.pop(model.remote, None)
        try:
            said = (await listed(post.server)).get(model.remote, {})
            async with post.meeting:
                found = await meet(post.server, model.remote, said, abilities=engine.abilities)
        except Gone as error:
            raise EndpointGone(model=model.name, endpoint=model.endpoint, cause=str(error)) from error
        if found.model != model.model:
            raise EndpointGone(model=model.name, endpoint=model.endpoint, cause="has another model under this name now")
        post.note_met(model, engine, self._clock.continuous())

    async def _look_safely(self, post: Post) -> None:
        try:
            await self._look(post)
        except Exception as error:  # noqa: BLE001 - the boundary of a server: a defect in one is none of the node's
            # Its text may hold the key.
            log.error("endpoint.crashed", endpoint=post.server.settings.name, kind=type(error).__name__)  # noqa: TRY400

    async def _look(self, post: Post, *, only: str = "") -> None:
        """Has each model that is wanted and was not met answer, whatever the others do; or only one of them."""
        async with post.looking:
            try:
                said = await listed(post.server)
                for remote in post.unmet(said, self._clock.continuous()):
                    if only in ("", remote):
                        await self._try(post, remote, said.get(remote, {}))
            except Gone as error:
                self._tell(post, str(error))
            else:
                self._tell(post, _advice(post, said))

    async def _try(self, post: Post, remote: str, said: Mapping[str, object]) -> None:
        """Meets a model. Raises Gone where the server is away."""
        try:
            await self._met(post, remote, said, templates=post.wanted.get(remote, ""))
        except (Failed, Busy, Slow) as error:
            if post.note_missing(remote, self._clock.continuous()):
                log.warning(
                    "endpoint.model_missing",
                    endpoint=post.server.settings.name,
                    model=remote,
                    reason=str(error),
                    remedy=_remedy(post, remote),
                )

    def _tell(self, post: Post, complaint: str) -> None:
        """Says once what keeps a server from being used."""
        if complaint and complaint != post.complaint:
            log.warning("endpoint.absent", endpoint=post.server.settings.name, reason=complaint)
        post.complaint = complaint

    async def _met(self, post: Post, remote: str, said: Mapping[str, object], *, templates: str = "") -> LocalModel:
        """The model, which has just answered, under the name by which it is known here. Raises Gone."""
        async with post.meeting:
            found = await _found(post, remote, said)
            model = _local(post, remote, found, templates)
            engine = EndpointEngine(post.server, name=model.name, remote=remote, abilities=found.abilities)
            if post.note_met(model, engine, self._clock.continuous()):
                log.info(
                    "endpoint.met", endpoint=post.server.settings.name, model=model.name, abilities=str(found.abilities)
                )
            return model

    def _at(self, place: ServerUrl, templates: str) -> Post:
        """The server at a URL: the one that is known, or one that nobody has asked yet."""
        known = next((one for one in self._all() if one.server.settings.url == place), None)
        settings = EndpointSettings(name=place.authority, url=place, templates=templates or "standard")
        return known or self._post(settings, is_configured=False)

    def _keep(self, post: Post, remote: str, templates: str) -> None:
        """Notes that a job wants a server's model, and the server where it is not of the configuration."""
        post.wanted[remote] = templates
        if post not in self._all():
            self._opened = [*self._opened[-MOST_OPENED + 1 :], post]

    def _all(self) -> list[Post]:
        return [*self._posts, *self._opened]

    def _post(self, settings: EndpointSettings, *, is_configured: bool) -> Post:
        key = self._environment.get(settings.api_key_env, "").strip() if settings.api_key_env else ""
        if settings.api_key_env and not (key and key.isascii() and key.isprintable()):
            log.warning("endpoint.no_key", endpoint=settings.name, variable=settings.api_key_env)
            key = ""
        server = Server(settings, key=key, clock=self._clock, chance=self._chance)
        names = {remote: ours for ours, remote in settings.models.items()}
        return Post(server=server, names=names, is_configured=is_configured)


async def _found(post: Post, remote: str, said: Mapping[str, object]) -> Acquaintance:
    """The model that answers now; what a known one takes is found out again only where it is another one by now."""
    before, engine = post.met.get(remote, (None, None))
    if before and engine:
        with suppress(Failed):  # it may no longer take what it did
            found = await meet(post.server, remote, said, abilities=engine.abilities)
            if found.model == before.model:
                return found
    return await meet(post.server, remote, said)


def _local(post: Post, remote: str, found: Acquaintance, templates: str) -> LocalModel:
    settings = post.server.settings
    name = post.names.get(remote) or f"{_plain(remote)}@{_plain(settings.name)}"
    size = size_in(remote)
    return LocalModel(
        name=name,
        model=found.model,
        path=Path(),
        params_b=size.total_b if size else 0.0,
        active_params_b=size.active_b if size else 0.0,
        bits=bits_in(remote) or UNKNOWN_BITS,
        weight_bytes=0,
        templates=templates or settings.templates,
        endpoint=str(settings.url),
        remote=remote,
        concurrency=settings.concurrency,
    )


def _advice(post: Post, said: Mapping[str, object]) -> str:
    """What to do about a server that answers, and of which nothing is tried; empty where there is nothing to do."""
    name = post.server.settings.name
    if post.lists_too_many(said):
        return (
            f"lists more than {MOST_LISTED} models, of which none is tried unasked: name some in `models` of {name!r}"
        )
    return "" if post.choice(said) else f"lists no model that writes: name one in `models` of {name!r}"


def _remedy(post: Post, remote: str) -> str:
    """What to do about a model that gives no answer at a server that does."""
    if remote in post.names or remote in post.wanted:
        return "see to it that the server has it under this name, and can load it"
    return f"nothing, or name those that write in `models` of {post.server.settings.name!r}: the others are used"


def _only(post: Post, said: Mapping[str, object]) -> str:
    """The model of a server that is meant where nobody names one. Raises BadInput."""
    wanted = post.choice(said)
    if not wanted:
        raise BadInput(f"{post.server.settings.url} lists no model that writes; name one with --engine-model")
    if len(wanted) == 1:
        return wanted[0]
    shown = ", ".join(wanted[:MOST_LISTED]) + (", …" if len(wanted) > MOST_LISTED else "")
    raise BadInput(f"{post.server.settings.url} has several models ({shown}); name one with --engine-model")


def _plain(name: str) -> str:
    """A server's name for a model as one word of ours: its folder where that is a path, and no slash."""
    return (PurePath(name).name if name.startswith("/") else name).replace("/", "_") or "model"


def _read(url: str) -> ServerUrl:
    try:
        return read_url(url)
    except ValueError as error:
        raise BadInput(f"--engine: {error}") from error
