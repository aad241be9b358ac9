"""Endpoints: the servers that this node may ask for models, and the models that answered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final, Protocol

import structlog

from realign_daemon.clock import Clock
from realign_daemon.endpoints.acquaintance import UNLISTED, Acquaintance, listed, meet
from realign_daemon.endpoints.endpoint_engine import EndpointEngine
from realign_daemon.endpoints.server import Gone, Server
from realign_daemon.endpoints.settings import EndpointSettings
from realign_daemon.endpoints.url import ServerUrl, read_url
from realign_daemon.engine.api import LocalModel, ModelId
from realign_daemon.engine.errors import EndpointGone
from realign_daemon.errors import BadInput, NothingFits
from realign_planner.model_names import bits_in, size_in

log = structlog.get_logger()

LOOK_EVERY_S: Final = 30.0  # how soon a server that was started is noticed
MOST_LISTED: Final = 8  # models of one server that are tried unasked: some list all there are in the world
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


@dataclass(slots=True, kw_only=True)
class _Post:
    """One server, and what is known of its models, by its names for them."""

    server: Server
    names: Mapping[str, str]  # its name -> ours; empty: all that it lists
    wanted: dict[str, str] = field(default_factory=dict[str, str])  # by jobs: its name -> prompt template set
    met: dict[str, tuple[LocalModel, EndpointEngine]] = field(
        default_factory=dict[str, tuple[LocalModel, EndpointEngine]]
    )
    up: set[str] = field(default_factory=set[str])  # its names for those that answered when they were last asked


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
        self._posts = [self._post(settings) for settings in configured]
        self._opened: list[_Post] = []
        self._meeting = asyncio.Lock()

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
        """Looks for servers that have not answered yet, until cancelled."""
        while True:
            for post in self._all():
                if not post.met:
                    await self._look(post)
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
            remote = remote or _only(post, tuple(said))
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
            await self._look(post)

    async def serve(self, model: LocalModel) -> EndpointEngine:
        """What performs the model's tasks, after its server has answered as that model.

        Raises:
            EndpointGone: it does not, or as another one.
        """
        for post in self._all():
            known, engine = post.met.get(model.remote, (None, None))
            if engine is None or str(post.server.settings.url) != model.endpoint or known != model:
                continue
            if model.remote not in post.up:
                await self._ask_again(post, model)
            return engine
        raise EndpointGone(model=model.name, endpoint=model.endpoint, cause="does not have this model any more")

    def lose(self, engine: EndpointEngine) -> None:
        """Notes that a server has stopped to answer: it has to answer again before it is given anything."""
        for post in self._all():
            if post.server is engine.server:
                post.up.clear()

    async def _ask_again(self, post: _Post, model: LocalModel) -> None:
        try:
            said = (await listed(post.server)).get(model.remote, {})
            found = (await self._met(post, model.remote, said, templates=model.templates)).model
        except Gone as error:
            raise EndpointGone(model=model.name, endpoint=model.endpoint, cause=str(error)) from error
        if found != model.model:
            raise EndpointGone(model=model.name, endpoint=model.endpoint, cause="has another model under this name now")

    async def _look(self, post: _Post) -> None:
        try:
            said = await listed(post.server)
            wanted = tuple(post.names) or tuple(post.wanted) or tuple(said) or (UNLISTED,)
            if len(wanted) > MOST_LISTED and not post.names:
                log.warning("endpoint.lists_many", endpoint=post.server.settings.name, models=len(wanted))
                return
            for remote in wanted:
                await self._met(post, remote, said.get(remote, {}), templates=post.wanted.get(remote, ""))
        except Gone as error:
            log.info("endpoint.absent", endpoint=post.server.settings.name, reason=str(error))

    async def _met(self, post: _Post, remote: str, said: Mapping[str, object], *, templates: str = "") -> LocalModel:
        """The model, which has just answered, under the name by which it is known here. Raises Gone."""
        async with self._meeting:
            found = await meet(post.server, remote, said)
            model = _local(post, remote, found, templates)
            engine = EndpointEngine(post.server, name=model.name, remote=remote, abilities=found.abilities)
            before, _ = post.met.get(remote, (None, None))
            if before != model:
                post.met[remote] = (model, engine)
                log.info(
                    "endpoint.met", endpoint=post.server.settings.name, model=model.name, abilities=str(found.abilities)
                )
            post.up.add(remote)
            return model

    def _at(self, place: ServerUrl, templates: str) -> _Post:
        """The server at a URL: the one that is known, or one that nobody has asked yet."""
        known = next((one for one in self._all() if one.server.settings.url == place), None)
        settings = EndpointSettings(name=place.authority, url=place, templates=templates or "standard")
        return known or self._post(settings)

    def _keep(self, post: _Post, remote: str, templates: str) -> None:
        """Notes that a job wants a server's model, and the server where it is not of the configuration."""
        post.wanted[remote] = templates
        if post not in self._all():
            self._opened = [*self._opened[-MOST_OPENED + 1 :], post]

    def _all(self) -> list[_Post]:
        return [*self._posts, *self._opened]

    def _post(self, settings: EndpointSettings) -> _Post:
        key = self._environment.get(settings.api_key_env, "") if settings.api_key_env else ""
        if settings.api_key_env and not (key and key.isascii() and key.isprintable()):
            log.warning("endpoint.no_key", endpoint=settings.name, variable=settings.api_key_env)
            key = ""
        server = Server(settings, key=key, clock=self._clock, chance=self._chance)
        return _Post(server=server, names={remote: ours for ours, remote in settings.models.items()})


def _local(post: _Post, remote: str, found: Acquaintance, templates: str) -> LocalModel:
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


def _only(post: _Post, names: tuple[str, ...]) -> str:
    """The model of a server that is meant where nobody names one. Raises BadInput."""
    wanted = tuple(post.names) or names or (UNLISTED,)
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
